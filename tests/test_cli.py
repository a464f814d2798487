"""The command line as a user types it."""

import json
import os
from pathlib import Path

import pytest

from samar.cli import main
from samar.jobs.service import Jobs
from samar.settings.declare import settings_of
from samar.training.settings import TrainSettings

KEYS = [
    *("run", "status", "epochs", "steps", "seconds"),
    *("train_accuracy", "val_accuracy", "test_accuracy"),
    *("train_loss", "val_loss", "test_loss", "gap"),
    *("lam_first", "lam_last", "lam_low", "lam_high"),
    *("planes", "eigenvalue_estimates", "oldest_plane_seconds"),
]


def test_train_show_runs_and_delete(samar_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "train --dataset digits --model cnn --optimizer samar --epochs 2 --seed 0 --json"
    assert main([*words.split(), "--images-per-class", "20", "--name", "tiny"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(row) == KEYS
    assert (row["status"], row["epochs"]) == ("finished", 2)
    assert 0 <= row["test_accuracy"] <= 1
    assert row["gap"] == row["train_accuracy"] - row["test_accuracy"]
    assert row["lam_first"] == 1
    assert main(["runs"]) == 0
    assert "tiny" in capsys.readouterr().out
    assert main(["evaluate", "tiny", "--json"]) == 0
    capsys.readouterr()
    assert main(["jobs", "--json"]) == 0
    evaluation, run = json.loads(capsys.readouterr().out)
    assert {"id", "kind", "status", "name", "settings", "parent"} <= set(run)
    assert (run["kind"], run["name"], run["id"]) == ("train", "tiny", row["run"])
    assert (evaluation["kind"], evaluation["settings"]["network"]) == ("evaluate", "tiny")
    assert main(["jobs", "--kind", "evaluate", "--status", "finished"]) == 0
    listed = capsys.readouterr().out
    assert evaluation["id"] in listed
    assert row["run"] not in listed
    assert main(["show", evaluation["id"]]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["summary"]["images"] == 797
    assert shown["command"].startswith("python -m samar evaluate")
    assert main(["delete", evaluation["id"]]) == 0
    assert main(["stop", row["run"]]) == 2
    assert "stop needs a run that is" in capsys.readouterr().err
    assert main(["show", "tiny"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["settings"]["images_per_class"] == 20
    assert "--images-per-class 20" in shown["command"]
    assert main(["delete", row["run"]]) == 0
    assert main(["show", "tiny"]) == 2
    assert "There is no job 'tiny'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train --rho 7", "rho is '7', but it must be at most 5; choose another value."),
        ("train --lr fast", "lr is 'fast', but it must be a number"),
        ("show nothing", "There is no job 'nothing'"),
        ("evaluate missing.pt --model cnn --dataset digits", "There is no file missing.pt"),
        ("jobs --kind miracle", "There is no kind 'miracle'; choose"),
        ("train --seed 1 --seed 2", "--seed is given twice; give it once."),
        ("train --name=", "--name is empty; give it a value, or leave it out."),
        ("train --dataset folder:~nouser", "begins in a folder that is not known here"),
        ("train --name a\tb", "'a\\tb' holds a character that is no text; write it without."),
        ("landscape x --out none/x.npz", "make it, or choose another --out."),
        ("hessian x --dataset digits", "--dataset has no effect on 'x', which knows its own"),
    ],
)
def test_bad_input_is_one_sentence(
    words: str, sentence: str, samar_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split(" ")) == 2
    error = capsys.readouterr().err
    assert error.startswith("samar: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert not Jobs().all()


def test_stop_says_what_became_of_the_job(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    jobs = Jobs()
    waiting, training = (jobs.submit(TrainSettings()) for _ in range(2))
    run = jobs.store.claim(training)
    assert run is not None
    jobs.store.beat(run, pid=os.getpid())
    assert main(["stop", training]) == 0
    assert capsys.readouterr().out == f"Run {training} stops after its current step.\n"
    assert main(["stop", waiting]) == 0
    told = f"Run {waiting} is stopped. Stopped before it began.\n"
    assert capsys.readouterr().out == told
    assert main(["stop", waiting]) == 2
    needs = "stop needs a run that is queued or running or paused."
    assert f"Run {waiting} is stopped; {needs}" in capsys.readouterr().err


def test_help_shows_every_setting_with_its_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    for name in settings_of(TrainSettings):
        assert f"--{name.replace('_', '-')}" in text
    assert "from 0 to 5" in " ".join(text.split())


def test_the_equivalent_command_line_gives_the_same_config() -> None:
    from samar.cli import parser
    from samar.settings.command import settings_from

    config = TrainSettings(
        optimizer="samar", lr=0.1234567, nesterov=True, lam_min=0.3, images_per_class=9, seed=7
    )
    words = config.command.split()[3:]
    assert settings_from(parser().parse_args(words), TrainSettings) == config


@pytest.mark.shared
def test_evaluate(shared_data: Path, samar_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = shared_data / "checkpoints" / "resnet20-12fca82f.th"
    words = [
        "evaluate",
        str(checkpoint),
        "--model",
        "resnet20",
        "--normalize",
        "imagenet",
        "--json",
    ]
    assert main([*words, "--dataset", f"folder:{shared_data / 'cifar10'}"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["accuracy", "loss", "images"]
    assert found["accuracy"] * found["images"] == pytest.approx(1609)
