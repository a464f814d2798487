"""What may be wrong with a zip; each is answered in a sentence, and nothing is left behind."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samar.errors import SamarError
from samar.exchange import checked_zip, plain_json, tables
from samar.exchange.archive import job_zip
from samar.exchange.importing import import_job
from samar.jobs.job import Job
from samar.jobs.store import Store


@pytest.fixture
def parts(recorded: Callable[..., Job]) -> dict[str, bytes]:
    """The members of a sound zip."""
    content = job_zip(Store(), recorded(weights=True))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes], **facts: Any) -> bytes:
    """A zip of these members, with a manifest that fits them."""
    manifest = json.loads(parts["manifest.json"]) | facts
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
    outside = {path.name for path in samar_home.parent.iterdir()}
    assert "evil.txt" not in outside
    assert not list((samar_home / "runs").glob(".import-*"))


def test_the_helper_makes_sound_zips(parts: dict[str, bytes]) -> None:
    assert Store().get(import_job(io.BytesIO(packed(parts)))).tags == ("imported",)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "/etc/evil.txt",
        "film/../../evil.txt",
        "C:\\evil.txt",
        "film/film_plane-1.npz/x",
    ],
)
def test_a_name_that_leads_out_of_the_folder(parts: dict[str, bytes], name: str) -> None:
    refused(packed(parts | {name: b"x"}), "does not belong there")


def test_a_symbolic_link(parts: dict[str, bytes]) -> None:
    content = io.BytesIO(packed({n: c for n, c in parts.items() if n != "weights.safetensors"}))
    info = zipfile.ZipInfo("weights.safetensors")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    refused(content.getvalue(), "does not belong there")


def test_a_truncated_zip(parts: dict[str, bytes]) -> None:
    content = packed(parts)
    for kept in (0, 10, len(content) // 2, len(content) - 10):
        refused(content[:kept], "damaged or no zip file")


def test_a_flipped_bit(parts: dict[str, bytes]) -> None:
    content = bytearray(packed(parts))
    place = content.index(b"weights.safetensors") + 2000
    content[place] ^= 4
    refused(bytes(content), "damaged")


def test_zips_of_another_kind(parts: dict[str, bytes]) -> None:
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("data.pkl", "x")
    refused(other.getvalue(), "'data.pkl', which does not belong there")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    refused(empty.getvalue(), "is a zip file, but not of a job")
    refused(packed(parts, format="something"), "is a zip file, but not of a job")
    refused(packed(parts, format_version=99), "has format 99, but this samar reads 2")


def test_a_bomb_by_ratio_and_by_size(
    parts: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(packed(parts | {"steps.csv": b"0" * 30_000_000}), "than 200 times its size")
    monkeypatch.setattr(checked_zip, "MOST_BYTES", 1000)
    refused(packed(parts), "would unpack to 0.0 GB and is refused")


def test_a_claim_of_ten_gigabytes(parts: dict[str, bytes]) -> None:
    """The directory says 10 GB where there are 160 kB: refused before anything is unpacked."""
    content = packed(parts)
    directory = content.index(b"PK\x01\x02")
    place = content.index(b"weights.safetensors", directory) - 46
    size = (4_294_000_000).to_bytes(4, "little")
    refused(
        content[: place + 24] + size + content[place + 28 :],
        r"weights\.safetensors .* would unpack to",
    )


def test_a_bomb_of_many_files(parts: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_zip, "MOST_MEMBERS", 5)
    refused(packed(parts), "at most 5 are read")


def test_two_members_of_one_name(parts: dict[str, bytes]) -> None:
    content = io.BytesIO(packed(parts))
    with zipfile.ZipFile(content, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    refused(content.getvalue(), "two files of one name")


def test_a_bomb_within_a_landscape(parts: dict[str, bytes]) -> None:
    name = "film/film_plane-4.npz"
    kept = json.loads(parts["manifest.json"])["artifacts"]
    kept.append({"kind": "film_plane", "step": 4, "path": name, "at": 0.0, "summary": {}})

    def refused_landscape(content: bytes, sentence: str) -> None:
        refused(packed(parts | {name: content}, artifacts=kept), sentence)

    bomb = io.BytesIO()
    np.savez_compressed(bomb, loss=np.zeros((3000, 3000)))
    refused_landscape(bomb.getvalue(), "would unpack to")
    refused_landscape(b"no picture", "damaged or no zip file")
    other = io.BytesIO()
    np.savez(other, weights=np.zeros(3))
    refused_landscape(other.getvalue(), "holds no landscape")
    # An array that says it is larger than what there is of it.
    claims = io.BytesIO()
    with zipfile.ZipFile(claims, "w") as archive:
        header = io.BytesIO()
        shape = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
        np.lib.format.write_array_header_1_0(header, shape)
        archive.writestr("loss.npy", header.getvalue() + bytes(80))
    refused_landscape(claims.getvalue(), "holds no landscape")
    pickled = io.BytesIO()
    np.savez(pickled, loss=np.array([{}], dtype=object))
    refused_landscape(pickled.getvalue(), "holds no landscape")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"path": "film/film_plane-9.npz"}, "lacks 'film/film_plane-9.npz'"),
        ({"path": "../evil.txt"}, "lacks '../evil.txt'"),
        ({"path": "config.json"}, "lacks 'config.json'"),
        ({"path": 7}, "no artifact"),
        ({"kind": "<b>"}, "no artifact"),
        ({"step": -1}, "no artifact"),
        ({"more": 1}, "no artifact"),
    ],
)
def test_artifacts_that_are_none(
    parts: dict[str, bytes], change: dict[str, Any], sentence: str
) -> None:
    (kept,) = json.loads(parts["manifest.json"])["artifacts"]
    refused(packed(parts, artifacts=[kept | change]), sentence)
    refused(packed(parts, artifacts=[kept, kept]), "no artifact")
    refused(packed(parts, artifacts="none"), "no artifact")


def test_a_file_that_no_artifact_stands_for(parts: dict[str, bytes]) -> None:
    refused(packed(parts | {"film/other.json": b"{}"}), "which does not belong there")
    refused(packed(parts | {"resume.pt": b"x"}), "which does not belong there")


def test_a_kind_and_inputs_that_do_not_fit(parts: dict[str, bytes]) -> None:
    facts = json.loads(parts["manifest.json"])["run"]
    refused(packed(parts, run=facts | {"kind": "miracle"}), "knows no kind of job")
    refused(packed(parts, run=facts | {"kind": "sweep"}), "do not fit this samar")
    landscape = parts | {"config.json": b'{"network": "x"}'}
    for inputs in ({}, {"networks": []}, {"title": "x", "networks": [7]}, "x"):
        facts |= {"kind": "landscape", "inputs": inputs}
        refused(packed(landscape, run=facts), "names no network")


def test_a_report_of_curvature_that_is_none(parts: dict[str, bytes]) -> None:
    facts = json.loads(parts["manifest.json"])["run"] | {"kind": "curvature"}
    facts["inputs"] = {"title": "x", "networks": [{"network": "x", "title": "x"}]}
    kept = {"kind": "report", "step": 0, "path": "report.json", "at": 0.0, "summary": {}}
    for content in (b"{}", b"[1]", b"{", b'{"eigenvalues": ["<b>"]}'):
        others = {"config.json": b'{"network": "x"}', "report.json": content}
        own = {n: c for n, c in parts.items() if n != "weights.safetensors"} | others
        refused(packed(own, run=facts, artifacts=[kept]), "holds no curvature|is no JSON")


def test_a_bad_member_leaves_nothing_of_its_sweep(parts: dict[str, bytes]) -> None:
    """All of it or nothing, although the first member was sound."""
    facts = json.loads(parts["manifest.json"])["run"] | {"kind": "sweep"}
    own = {n: c for n, c in parts.items() if n in ("events.json", "manifest.json")}
    own["config.json"] = b'{"grid": {"rho": [0.1]}}'
    sound = own | {"members/00000001.zip": packed(parts)}
    bad = sound | {"members/00000002.zip": packed(parts)[:500]}
    refused(packed(bad, run=facts, artifacts=[]), "damaged or no zip file")
    nested = sound | {"members/00000002.zip": packed(sound, run=facts, artifacts=[])}
    refused(packed(nested, run=facts, artifacts=[]), "which does not belong there")
    sweep = import_job(io.BytesIO(packed(sound, run=facts, artifacts=[])))
    (member,) = Store().all(parent=sweep)
    assert member.kind == "train"


def test_a_member_that_was_changed(parts: dict[str, bytes]) -> None:
    manifest = json.loads(parts["manifest.json"])
    manifest["files"]["steps.csv"]["sha256"] = "0" * 64
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in (parts | {"manifest.json": json.dumps(manifest).encode()}).items():
            archive.writestr(name, member)
    refused(content.getvalue(), "steps.csv .* does not have the checksum of the manifest")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("config.json", b'{"epochs": -1}', "epochs is -1, but it must be at least 1"),
        ("config.json", b'{"passes": 1}', "There is no setting called 'passes'"),
        ("config.json", b"\xff", "do not fit this samar"),
        ("steps.csv", b"step,loss\n1,2\n", "lacks, or has too many, columns"),
        ("steps.csv", b"\xff\xfe", "no readable table"),
        ("events.json", b"[1]", "something that is no event"),
        ("events.json", b"{", "is no JSON"),
        ("events.json", b"[" * 100_000, "is no JSON"),
        ("events.json", b"[" * 100 + b"]" * 100, "nested more than 30 levels deep"),
        ("events.json", b"[" + b"9" * 400 + b"]", "holds the number 9999999999999999999…, which"),
        ("events.json", b"[1e999]", "holds the number 1e999, which no job has recorded"),
        ("weights.safetensors", b"nonsense", "not a readable safetensors file"),
    ],
)
def test_members_that_are_not_what_they_claim(
    parts: dict[str, bytes], name: str, content: bytes, sentence: str
) -> None:
    refused(packed(parts | {name: content}), sentence)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("2,1,x", "not a number"),
        ("2.5,1,1", "no whole number"),
        ("1,1,1", "do not ascend"),
        (",1,1", "no whole number"),
        ("1e300,1,1", "no whole number"),
        ("9" * 400 + ",1,1", "no whole number"),
        ("2,1,1,1", "more or fewer values"),
        ('"2",1,1', "not a number"),
    ],
)
def test_tables_with_bad_rows(parts: dict[str, bytes], row: str, sentence: str) -> None:
    head, first, second, *_ = parts["steps.csv"].decode().splitlines()
    second = ",".join([*row.split(","), *second.split(",")[3:]])
    table = "\n".join([head, first, second, ""])
    refused(packed(parts | {"steps.csv": table.encode()}), sentence)


@pytest.mark.parametrize("more", [",x", "," + ",".join(f"c{n}" for n in range(100_000)), ",loss"])
def test_a_table_of_other_columns_is_refused_by_its_first_line(
    parts: dict[str, bytes], more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_block", None)
    head, *rows = parts["steps.csv"].decode().splitlines()
    table = "\n".join([head + more, *rows, ""])
    refused(packed(parts | {"steps.csv": table.encode()}), "lacks, or has too many, columns")


def test_an_endless_line_and_too_many_rows(
    parts: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BLOCK", 1000)
    head, *rows = parts["steps.csv"].decode().splitlines()
    endless = "\n".join([head, *rows, "1" * 4000])
    refused(packed(parts | {"steps.csv": endless.encode()}), "an endless line")
    monkeypatch.setattr(tables, "MOST_ROWS", len(rows) - 1)
    refused(packed(parts), "more than 11 rows")


@pytest.mark.parametrize("size", [200, 1000, 4 << 20])
def test_blocks_of_any_size_give_the_same(
    parts: dict[str, bytes], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BLOCK", size)
    store = Store()
    run = store.get(import_job(io.BytesIO(packed(parts)), store))
    again = zipfile.ZipFile(io.BytesIO(job_zip(store, run)))
    for name in ("steps.csv", "epochs.csv"):
        assert again.read(name) == parts[name]


def landscape(**changed: Any) -> bytes:
    """The file of a film's plane, with arrays changed."""
    axis, loss = np.linspace(-1, 1, 3), np.ones((3, 3))
    arrays = {"axis_0": axis, "axis_1": axis, "loss": loss, "accuracy": loss, "done": loss > 0}
    text = json.dumps(changed.pop("text", {"manifest": {"images": 9}}))
    target = io.BytesIO()
    np.savez(target, text=np.array(text), **(arrays | changed))
    return target.getvalue()


@pytest.mark.parametrize(
    "changed",
    [
        {"loss": np.ones((3, 4))},
        {"loss": np.ones(3)},
        {"accuracy": np.ones((2, 3))},
        {"done": np.ones((3, 3))},
        {"axis_0": np.array([-1, np.nan, 1])},
        {"axis_0": np.array([-1, 1, 0])},
        {"axis_1": np.array(["a", "b", "c"])},
        {"loss": np.full((3, 3), 1j)},
        {"text": {"manifest": []}},
        {"text": {"manifest": {"images": "many"}}},
        {"text": {"manifest": {"title": "\x1b[31m"}}},
        {"text": {"manifest": {}, "trail_names": ["a"]}},
        {"text": {"manifest": {}, "rho": "x"}, "ball_loss": np.ones(1)},
    ],
)
def test_landscapes_that_no_page_can_draw(parts: dict[str, bytes], changed: dict[str, Any]) -> None:
    name = "film/film_plane-4.npz"
    kept = json.loads(parts["manifest.json"])["artifacts"]
    kept.append({"kind": "film_plane", "step": 4, "path": name, "at": 0.0, "summary": {}})
    sound = packed(parts | {name: landscape()}, artifacts=kept)
    assert Store().get(import_job(io.BytesIO(sound))).done == 12
    refused(packed(parts | {name: landscape(**changed)}, artifacts=kept), "film_plane-4.npz in")
    kept[-1] |= {"kind": "film_line"}
    refused(packed(parts | {name: landscape()}, artifacts=kept), "2 directions where it must have")


@pytest.mark.parametrize(
    "changed",
    [
        {"given": np.array([0, 7])},
        {"true": np.array([0.5, 1.0])},
        {"images": np.zeros((2, 8, 8), np.uint8)},
        {"images": np.zeros((2, 2, 8, 8), np.uint8)},
        {"images": np.zeros((2, 1, 8, 8))},
        {"classes": np.array(["a", "b\u202e"])},
    ],
)
def test_wrongly_labelled_images_that_are_none(
    parts: dict[str, bytes], changed: dict[str, Any]
) -> None:
    name, target = "mislabelled.npz", io.BytesIO()
    kept = json.loads(parts["manifest.json"])["artifacts"]
    kept.append({"kind": "mislabelled", "step": 0, "path": name, "at": 0.0, "summary": {}})
    labels = {"given": np.array([0, 1]), "true": np.array([1, 0]), "classes": np.array(["a", "b"])}
    arrays = {"images": np.zeros((2, 1, 8, 8), np.uint8), **labels}
    np.savez(target, **arrays)
    import_job(io.BytesIO(packed(parts | {name: target.getvalue()}, artifacts=kept)))
    target = io.BytesIO()
    np.savez(target, **(arrays | changed))
    content = packed(parts | {name: target.getvalue()}, artifacts=kept)
    refused(content, "no images with their labels")


def test_an_artifact_among_the_members(parts: dict[str, bytes]) -> None:
    for name in ("members/00000001.zip", "members/x.json"):
        kept = [{"kind": "x", "step": 0, "path": name, "at": 0.0, "summary": {}}]
        refused(packed(parts | {name: b"{}"}, artifacts=kept), "which its manifest lists")


def test_hidden_characters_do_not_get_in(parts: dict[str, bytes]) -> None:
    hidden = "a\x1b[31m\u202eb\nc"
    config = json.loads(parts["config.json"]) | {"name": hidden}
    facts = json.loads(parts["manifest.json"])["run"]
    facts |= {"message": hidden, "device": hidden, "tags": [hidden]}
    content = packed(parts | {"config.json": json.dumps(config).encode()}, run=facts)
    run = Store().get(import_job(io.BytesIO(content)))
    assert (run.settings.name, run.message, run.device) == ("a [31mb c",) * 3
    assert run.tags == ("a", "[31mb", "c", "imported")


def test_the_checksum_of_the_archive_is_kept(parts: dict[str, bytes]) -> None:
    content = packed(parts)
    run = Store().get(import_job(io.BytesIO(content)))
    assert run.inputs == {"archive": hashlib.sha256(content).hexdigest()}


def test_events_of_before_and_of_now_are_read(parts: dict[str, bytes]) -> None:
    change = [{"step": 1, "kind": "change", "detail": {"rho": 0.3}, "at": 0.0}]
    content = packed(parts | {"events.json": json.dumps(change).encode()})
    store = Store()
    (event,) = store.records.events(store.get(import_job(io.BytesIO(content))).key)
    assert event.detail == {"rho": 0.3}


def test_parts_of_a_summary_that_a_page_cannot_read_are_left_out(parts: dict[str, bytes]) -> None:
    facts = json.loads(parts["manifest.json"])["run"] | {"kind": "evaluate"}
    facts["inputs"] = {"title": "x", "networks": [{"network": "x", "title": "x"}]}
    facts["summary"] = {"epoch": 7, "members": [1], "accuracy": 0.5, "more": "x", "images": -1}
    own = {n: c for n, c in parts.items() if n in ("events.json", "manifest.json")}
    own["config.json"] = b'{"network": "x"}'
    job = Store().get(import_job(io.BytesIO(packed(own, run=facts, artifacts=[]))))
    assert job.summary == {"accuracy": 0.5, "more": "x"}
    odd = {"peak": None, "missed": 3, "away": ["x"], "compile_seconds": "x", "ranks": 10**6}
    run = json.loads(parts["manifest.json"])["run"]
    wrong = packed(parts, run=run | {"summary": odd | {"epoch": None, "note": "y"}})
    run = Store().get(import_job(io.BytesIO(wrong)))
    assert run.last_epoch is not None
    assert {n: v for n, v in run.summary.items() if n != "epoch"} == {"note": "y"}


def test_a_run_without_a_learning_rate_of_its_own_is_read(parts: dict[str, bytes]) -> None:
    """Its recorder writes none, as of AdamW."""
    measured = {"values": [3.0, 2.0, 1.0], "residuals": [0.1] * 3, "trace": 7.0, "lr": None}
    event = {"step": 1, "kind": "curvature", "detail": measured, "at": 0.0}
    content = packed(parts | {"events.json": json.dumps([event]).encode()})
    store = Store()
    (found,) = store.records.events(store.get(import_job(io.BytesIO(content))).key)
    assert found.detail == measured


def test_a_change_of_lambda_while_it_was_held_is_read(parts: dict[str, bytes]) -> None:
    """Older versions took it, without effect."""
    changes = ({"lam_held": 1.0}, {"lam": 2.0})
    events = [{"step": 1, "kind": "change", "detail": each, "at": 0.0} for each in changes]
    content = packed(parts | {"events.json": json.dumps(events).encode()})
    store = Store()
    found = store.records.events(store.get(import_job(io.BytesIO(content))).key)
    assert tuple(event.detail for event in found) == changes


def test_lines_that_end_as_on_windows_are_read(parts: dict[str, bytes]) -> None:
    tables = {n: parts[n].replace(b"\n", b"\r\n") for n in ("steps.csv", "epochs.csv")}
    assert tables["epochs.csv"].endswith(b",\r\n")  # nothing was held out
    store = Store()
    found, plain = (import_job(io.BytesIO(packed(parts | more))) for more in (tables, {}))
    for read in (store.records.steps, store.records.epochs):
        for name, column in read(store.get(plain).key).items():
            assert column.tobytes() == read(store.get(found).key)[name].tobytes()


def test_events_that_would_break_a_page(parts: dict[str, bytes]) -> None:
    def event(kind: str, **detail: Any) -> bytes:
        return json.dumps([{"step": 1, "kind": kind, "detail": detail, "at": 0.0}]).encode()

    refused(packed(parts | {"events.json": event("change", rho=99)}), "A change recorded in")
    refused(packed(parts | {"events.json": event("change", epochs=3)}), "cannot change while")
    refused(packed(parts | {"events.json": event("change", nothing=3)}), "A change recorded in")
    refused(packed(parts | {"events.json": event("curvature", values=[1])}), "is no event")


def test_facts_that_cannot_be_true_are_left_out(parts: dict[str, bytes]) -> None:
    facts = {
        "id": "../../evil",
        "status": "running",
        "message": ["no", "text"],
        "created": "yesterday",
        "finished": 1e300,
        "total_steps": -3,
        "tags": ["x" * 99, 7, "fine", "imported"],
    }
    run = Store().get(import_job(io.BytesIO(packed(parts, run=facts))))
    assert len(run.id) == 8
    assert run.status == "stopped"
    assert run.tags == ("fine", "imported")
    assert run.total is None
    assert run.created == 0


def test_json_of_too_many_values_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_json, "json", None)
    with pytest.raises(SamarError, match="x holds more than 1,000,000 values and is refused"):
        plain_json.plain_json(b"[" + b"0," * 1_000_001 + b"0]", "x")


def test_a_missing_file(samar_home: Path) -> None:
    (samar_home / "runs").mkdir()
    with pytest.raises(SamarError, match=r"There is no file .*nothing\.zip"):
        import_job(samar_home / "nothing.zip")
    with pytest.raises(SamarError, match="There is no file"):
        import_job(samar_home)
