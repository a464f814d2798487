"""What may be wrong with a zip; each is answered in a sentence, and nothing is left behind."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samar.errors import SamarError
from samar.exchange import checked_zip
from samar.exchange.archive import job_zip
from samar.exchange.importing import import_job
from samar.jobs.job import Job
from samar.jobs.store import Store

SNAPSHOT = "snapshots/weights-4.safetensors"


@pytest.fixture
def parts(recorded: Callable[..., Job]) -> dict[str, bytes]:
    """The members of a sound zip."""
    content = job_zip(Store(), recorded(weights=True))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes], **facts: Any) -> bytes:
    """A zip of these members, with a manifest that fits them; ``run`` changes its facts."""
    manifest = json.loads(parts["manifest.json"])
    manifest |= facts | {"run": manifest["run"] | facts.get("run", {})}
    others = {name: content for name, content in parts.items() if name != "manifest.json"}
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in others.items()
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (others | {"manifest.json": json.dumps(manifest).encode()}).items():
            archive.writestr(name, content)
    return target.getvalue()


def refused(content: bytes, sentence: str) -> None:
    store = Store()
    before = len(store.all())
    with pytest.raises(SamarError, match=sentence) as caught:
        import_job(io.BytesIO(content))
    assert "\n" not in str(caught.value)
    assert len(store.all()) == before


@pytest.fixture(autouse=True)
def _clean(samar_home: Path):
    yield
    assert "evil.txt" not in {path.name for path in samar_home.parent.iterdir()}
    assert not list((samar_home / "runs").glob(".import-*"))


def test_members_that_do_not_belong_there(parts: dict[str, bytes]) -> None:
    assert Store().get(import_job(io.BytesIO(packed(parts)))).tags == ("imported",)
    outside = ("../evil.txt", "/etc/evil.txt", "snapshots/../../evil.txt", "C:\\evil.txt")
    for name in (*outside, "snapshots/other.json", "resume.pt"):
        refused(packed(parts | {name: b"x"}), "does not belong there")
    link = zipfile.ZipInfo("weights.safetensors")
    link.external_attr = 0o120777 << 16
    content = io.BytesIO(packed({n: c for n, c in parts.items() if n != link.filename}))
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(content.getvalue(), "does not belong there")


def test_damaged_zips(parts: dict[str, bytes]) -> None:
    content = packed(parts)
    for kept in (0, 10, len(content) // 2, len(content) - 10):
        refused(content[:kept], "damaged or no zip file")
    flipped = bytearray(content)
    flipped[content.index(b"weights.safetensors") + 2000] ^= 4
    refused(bytes(flipped), "damaged")
    twice = io.BytesIO(content)
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    refused(twice.getvalue(), "two files of one name")
    manifest = json.loads(parts["manifest.json"])
    manifest["files"]["steps.csv"]["sha256"] = "0" * 64
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        for name, member in (parts | {"manifest.json": json.dumps(manifest).encode()}).items():
            archive.writestr(name, member)
    refused(other.getvalue(), "steps.csv .* does not have the checksum of the manifest")


def test_zips_of_another_kind(parts: dict[str, bytes], samar_home: Path) -> None:
    for names, sentence in ((["data.pkl"], "'data.pkl', which does not belong"), ([], "not of a")):
        other = io.BytesIO()
        with zipfile.ZipFile(other, "w") as archive:
            for name in names:
                archive.writestr(name, "x")
        refused(other.getvalue(), sentence)
    refused(packed(parts, format="samar run"), "is a zip file, but not of a job")
    refused(packed(parts, format_version=99), "has format 99, but this samar reads 2")
    for path in (samar_home / "nothing.zip", samar_home):
        with pytest.raises(SamarError, match="There is no file"):
            import_job(path)


def test_bombs(parts: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    refused(packed(parts | {"steps.csv": b"0" * 30_000_000}), "than 200 times its size")
    content = packed(parts)
    # The directory says 4 GB where there are 160 kB.
    entry = content.index(b"weights.safetensors", content.index(b"PK\x01\x02")) - 46
    size = (4_294_000_000).to_bytes(4, "little")
    refused(content[: entry + 24] + size + content[entry + 28 :], r"would unpack to more than 200")
    monkeypatch.setattr(checked_zip, "MOST_BYTES", 1000)
    refused(content, "would unpack to 0.0 GB and is refused")
    monkeypatch.setattr(checked_zip, "MOST_MEMBERS", 5)
    refused(content, "at most 5 are read")


@pytest.mark.parametrize("path", ["snapshots/weights-9.safetensors", "../evil.txt", 7])
def test_artifacts_that_are_none(parts: dict[str, bytes], path: Any) -> None:
    (kept,) = json.loads(parts["manifest.json"])["artifacts"]
    refused(packed(parts, artifacts=[kept | {"path": path}]), "The manifest of .* is not sound")


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "../../evil"},
        {"created": "yesterday"},
        {"steps": -1},
        {"summary": [1]},
        {"kind": "miracle"},
        {"kind": "sweep"},
    ],
)
def test_facts_that_cannot_be_true(parts: dict[str, bytes], changed: dict[str, Any]) -> None:
    refused(packed(parts, run=changed), "is not sound|does not fit|knows no kind")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("config.json", b'{"epochs": -1}', "epochs is -1, but it must be at least 1"),
        ("config.json", b'{"passes": 1}', "There is no setting called 'passes'"),
        ("config.json", b"\xff", "does not fit this samar"),
        ("steps.csv", b"step,loss\n1,2\n", "other columns"),
        ("steps.csv", b"\xff\xfe", "does not fit this samar"),
        ("events.json", b"[1]", "does not fit this samar"),
        ("events.json", b"{", "does not fit this samar"),
        ("events.json", b"[" * 100_000, "does not fit this samar"),
        ("weights.safetensors", b"nonsense", "holds no weights"),
    ],
)
def test_members_that_are_not_what_they_claim(
    parts: dict[str, bytes], name: str, content: bytes, sentence: str
) -> None:
    refused(packed(parts | {name: content}), sentence)


def test_a_bad_member_leaves_nothing_of_its_sweep(parts: dict[str, bytes]) -> None:
    """All of it or nothing, although the first member was sound."""
    sweep = {"kind": "sweep"}
    members = {n: c for n, c in parts.items() if n in ("events.json", "manifest.json")}
    members["config.json"] = b'{"grid": {"rho": [0.1]}}'
    sound = members | {"members/00000001.zip": packed(parts)}
    bad = sound | {"members/00000002.zip": packed(parts)[:500]}
    refused(packed(bad, run=sweep, artifacts=[]), "damaged or no zip file")
    nested = sound | {"members/00000002.zip": packed(sound, run=sweep, artifacts=[])}
    refused(packed(nested, run=sweep, artifacts=[]), "which does not belong there")
    owner = import_job(io.BytesIO(packed(sound, run=sweep, artifacts=[])))
    (member,) = Store().all(parent=owner)
    assert member.kind == "train"


def test_hidden_characters_do_not_get_in(parts: dict[str, bytes]) -> None:
    hidden = "a\x1b[31m\u202eb\nc"
    config = json.loads(parts["config.json"]) | {"name": hidden}
    facts = {"message": hidden, "device": hidden, "tags": [hidden]}
    content = packed(parts | {"config.json": json.dumps(config).encode()}, run=facts)
    run = Store().get(import_job(io.BytesIO(content)))
    assert (run.settings.name, run.message, run.device) == ("a [31mb c",) * 3
    assert run.tags == ("a", "[31mb", "c", "imported")
    assert run.inputs == {"archive": hashlib.sha256(content).hexdigest()}
