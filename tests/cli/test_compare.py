import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from samar.cli import main
from samar.jobs.job import Job
from samar.jobs.store import Store
from samar.kinds.watch import WatchSettings


@pytest.fixture
def four(recorded: Callable[..., Job]) -> list[Job]:
    return [
        recorded(optimizer=name, seed=seed, accuracy=0.8 + 0.02 * seed, weights=True)
        for name in ("sgd", "sam")
        for seed in (0, 1)
    ]


def test_compare_as_json(four: list[Job], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--json", *(run.id for run in four)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["run"] for each in found["runs"]] == [run.id for run in four]
    assert found["differences"] == {
        "optimizer": ["sgd", "sgd", "sam", "sam"],
        "seed": [0, 1, 0, 1],
    }
    first, second = found["groups"]
    assert (first["title"], second["title"]) == ("SGD · 2 seeds", "SAM · 2 seeds")
    assert first["test_accuracy"]["mean"] == pytest.approx(0.81)
    assert first["test_accuracy"]["sd"] == pytest.approx(0.02 / 2**0.5)


def test_compare_for_people_and_by_tag(four: list[Job], capsys: pytest.CaptureFixture[str]) -> None:
    for run in four[:2]:
        Store().mark(run.id, tags=["mine"])
    assert main(["compare", "mine"]) == 0
    told = capsys.readouterr().out
    assert all(run.id in told for run in four[:2])
    assert four[2].id not in told
    assert "SGD · 2 seeds: test accuracy 81.00 ± 1.41 %" in told
    assert main(["compare", "nothing"]) == 2
    assert "There is no run 'nothing'" in capsys.readouterr().err


def test_compare_with_flatness(
    four: list[Job],
    inline: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from samar.compare import measuring

    monkeypatch.setattr(measuring, "PROTOCOL", measuring.PROTOCOL.changed(images=8, top=1, tol=0.5))
    ids = [run.id for run in four]
    assert main(["compare", "--flatness", "--json", *ids]) == 0
    found = json.loads(capsys.readouterr().out)["flatness"]
    assert found["sentence"].startswith("Measure at least 5 networks first; 4 are")
    assert found["gap"]["trace"] == {"tau": None, "low": None, "high": None, "p": None, "n": 4}
    assert main(["compare", "--flatness", *ids]) == 0
    assert "Measure at least 5 networks" in capsys.readouterr().out


def test_export_as_zip_html_and_tensorboard(
    four: list[Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = four[0]
    folder = tmp_path / "out"
    folder.mkdir()
    assert main(["export", run.id, "--out", str(folder / "run.zip")]) == 0
    with zipfile.ZipFile(folder / "run.zip") as archive:
        assert json.loads(archive.read("manifest.json"))["run"]["id"] == run.id
    assert main(["export", run.id, four[1].id, "--out", str(folder / "runs.html")]) == 0
    assert "2 runs compared" in (folder / "runs.html").read_text(encoding="utf-8")
    assert main(["export", run.id, "--out", f"tb:{folder / 'tb'}"]) == 0
    assert list((folder / "tb" / f"sgd-{run.id}").iterdir())
    assert {path.name for path in folder.iterdir()} == {"run.zip", "runs.html", "tb"}
    capsys.readouterr()
    for out, sentence in (
        ("x.doc", "it must end in .zip, .html or .json, or be tb:FOLDER"),
        (str(folder / "none" / "x.zip"), "There is no folder"),
        (str(folder / "none" / "x.html"), "There is no folder"),
    ):
        assert main(["export", run.id, "--out", out]) == 2
        assert sentence in capsys.readouterr().err
    assert main(["export", *(r.id for r in four), "--out", str(folder / "all.zip")]) == 2
    assert "A .zip holds one job, but 4 were given" in capsys.readouterr().err


def test_many_jobs_move_into_another_store(
    recorded: Callable[..., Job],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = [recorded(seed=seed) for seed in range(3)]
    folder = tmp_path / "moved"
    assert main(["export", *(run.id for run in runs), "--out", f"zip:{folder}"]) == 0
    monkeypatch.setenv("SAMAR_HOME", str(tmp_path_factory.mktemp("another")))
    assert main(["import", str(folder)]) == 0
    assert {run.id for run in Store().all("train")} == {run.id for run in runs}


def test_import_takes_what_export_wrote(
    four: list[Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.zip"
    assert main(["export", four[0].id, "--out", str(path)]) == 0
    Store().delete(four[0].id)
    capsys.readouterr()
    assert main(["import", str(path), "--name", "from afar", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        **{"run": four[0].id, "title": "from afar", "status": "finished"},
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert main(["import", str(path)]) == 0
    assert "Imported run" in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:1000])
    assert main(["import", str(path)]) == 2
    assert "run.zip is damaged or no zip file" in capsys.readouterr().err


def test_a_scripts_run_is_not_called_unknown(
    four: list[Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Store().get(Store().create(WatchSettings(name="mine", base="AdamW")))
    out = str(tmp_path / "runs.html")
    for words in (["compare"], ["export", "--out", out]):
        assert main([*words, four[0].id, script.number]) == 2
        told = capsys.readouterr().err
        assert f"{script.label} is a script's run, whose settings only the script knows" in told
