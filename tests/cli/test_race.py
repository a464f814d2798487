"""``samar race`` from the command line, trained in the process of the test."""

import json

import pytest

from samar.cli import main
from samar.jobs.service import Jobs
from samar.kinds.race import RaceSettings

RACE = (
    "race --dataset digits --model cnn --optimizers sgd,sam:rho=0.05 --epochs 2 --seed 3 "
    "--images-per-class 13 --batch-size 32 --device cpu"
)
FACTS = {"status", "test_loss", "test_accuracy", "train_accuracy", "gradients", "seconds"}
FACTS |= {"planes", "eigenvalue_estimates", "oldest_plane_seconds"}


@pytest.mark.usefixtures("inline")
def test_its_last_line_is_one_object_keyed_by_optimizer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RACE.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found) == ["sgd", "sam:rho=0.05"]
    assert all(set(figures) == FACTS for figures in found.values())
    sgd, sam = found.values()
    assert sgd["status"] == sam["status"] == "finished"
    assert 2 * sgd["gradients"] == sam["gradients"] > 0
    assert 0 <= sam["test_accuracy"] <= 1
    jobs = Jobs()
    race = jobs.all("race")[0]
    assert [run.settings.seed for run in jobs.members(race.id)] == [3, 3]
    assert main(["show", race.id]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["summary"]["leader"] in found
    assert "python -m samar race" in shown["command"]
    assert "--optimizers sgd,sam:rho=0.05" in shown["command"]


@pytest.mark.usefixtures("inline")
def test_for_people_it_is_a_table_and_who_leads(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(RACE.split()) == 0
    shown = capsys.readouterr().out
    assert "SAM (rho=0.05)" in shown
    assert "Race " in shown
    assert ": finished." in shown
    assert "after 10 steps" in shown
    assert main(["runs"]) == 0
    assert capsys.readouterr().out.count("finished") == 2


@pytest.mark.usefixtures("inline")
def test_stopped_before_it_began_and_resumed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = Jobs()
    job_id = jobs.store.create(RaceSettings(epochs=1, images_per_class=13, optimizers="sgd,sam"))
    with monkeypatch.context() as busy:
        busy.setattr("samar.jobs.service.schedule", lambda store: None)
        assert main(["stop", job_id]) == 0
    assert {run.status for run in jobs.members(job_id)} == {"stopped"}
    capsys.readouterr()
    assert main(["resume", job_id, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [figures["status"] for figures in found.values()] == ["finished"] * 2


def test_a_bad_entry_is_one_sentence(samar_home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["race", "--optimizers", "sgd"]) == 2
    assert "a race needs 2 to 4" in capsys.readouterr().err
