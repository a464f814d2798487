import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from samar.cli import main
from samar.jobs.job import Job, weights_path
from samar.jobs.sql import schema
from samar.jobs.store import Store
from samar.kinds.watch import WatchSettings
from samar.networks.importing import import_file


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


def test_held_out_images_are_told_where_there_are_some(
    recorded: Callable[..., Job], capsys: pytest.CaptureFixture[str]
) -> None:
    runs, store = [recorded(seed=seed, validation=0.2) for seed in (0, 1)], Store()
    for run, accuracy in zip(runs, (0.7, 0.8), strict=True):
        epoch = run.summary["epoch"] | {"val_loss": 1.0, "val_accuracy": accuracy}
        row = schema.jobs.update().where(schema.jobs.c.id == run.id)
        with store.database.write() as db:
            db.execute(row.values(summary=json.dumps({"epoch": epoch})))
    ids = [run.id for run in runs]
    assert main(["compare", *ids]) == 0
    told = capsys.readouterr().out
    assert "70.00%" in told
    assert "validation accuracy 75.00 ± 7.07 %" in told
    assert main(["compare", "--json", *ids]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["val_accuracy"] for run in found["runs"]] == [0.7, 0.8]
    assert found["groups"][0]["val_accuracy"]["mean"] == pytest.approx(0.75)
    plain = [recorded(seed=seed).id for seed in (0, 1)]
    assert main(["compare", *plain]) == 0
    told = capsys.readouterr().out
    assert "val" not in told.splitlines()[0].split()
    assert "validation" not in told


def test_only_runs_that_finished_count_over_seeds(
    four: list[Job], recorded: Callable[..., Job], capsys: pytest.CaptureFixture[str]
) -> None:
    part = recorded(optimizer="sgd", seed=2, accuracy=0.1, status="stopped")
    ids = [run.id for run in (*four[:2], part)]
    assert main(["compare", *ids]) == 0
    told = capsys.readouterr().out
    assert "SGD · 3 seeds: test accuracy 81.00 ± 1.41 %" in told
    assert "(2 of 3 runs finished)" in told
    assert main(["compare", "--json", *ids]) == 0
    (group,) = json.loads(capsys.readouterr().out)["groups"]
    assert (len(group["runs"]), group["finished"]) == (3, 2)
    assert group["test_accuracy"]["mean"] == pytest.approx(0.81)


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


def test_an_imported_model_has_no_record_to_compare(
    four: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = import_file(
        weights_path(four[0].id), dataset="digits", model="cnn", normalize="auto"
    )
    assert main(["compare", four[0].id, model.id]) == 2
    assert "add --flatness" in capsys.readouterr().err


def test_which_runs_are_repeats_is_said(
    four: list[Job], recorded: Callable[..., Job], capsys: pytest.CaptureFixture[str]
) -> None:
    again = recorded(optimizer="sgd", seed=0, accuracy=0.1, status="stopped")
    held = recorded(optimizer="samar", lam_held=0.5)
    free = recorded(optimizer="samar")
    assert main(["compare", *(run.id for run in (*four[:2], again, held, free))]) == 0
    told = capsys.readouterr().out
    assert "SGD · 2 seeds: test accuracy 81.00 ± 1.41 %" in told
    assert f"SGD · 2 seeds is without {again.number}: another run has the same seed." in told
    assert "free" in told.splitlines()[5].split()


def test_a_scripts_run_is_not_called_unknown(
    four: list[Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Store().get(Store().create(WatchSettings(name="mine", base="AdamW")))
    out = str(tmp_path / "runs.html")
    for words in (["compare"], ["export", "--out", out]):
        assert main([*words, four[0].id, script.number]) == 2
        told = capsys.readouterr().err
        assert f"{script.label} is a script's run, whose settings only the script knows" in told
