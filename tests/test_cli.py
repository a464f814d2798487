"""The command line as a user types it."""

import json
import os
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from samar.cli import main
from samar.jobs.job import WAITS
from samar.jobs.kind import kinds
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.models.build import build_model
from samar.settings.declare import settings_of
from samar.training.settings import TrainSettings

KEYS = [
    *("run", "status", "epochs", "steps", "seconds"),
    *("train_accuracy", "val_accuracy", "test_accuracy"),
    *("train_loss", "val_loss", "test_loss", "gap"),
    *("lam_first", "lam_last", "lam_low", "lam_high"),
]


def test_a_terminal_lists_the_newest(
    samar_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.cli.jobs.NEWEST", 2)
    store = Store()
    for name in ("first", "second", "third"):
        store.create(TrainSettings(name=name))
    assert main(["runs"]) == 0  # into a pipe
    assert "first" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["runs"]) == 0
    told = capsys.readouterr().out
    assert "third" in told
    assert "first" not in told
    assert "… and 1 older; --all lists them." in told
    assert main(["runs", "--all"]) == 0
    assert "first" in capsys.readouterr().out


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
    assert main(["cancel", row["run"]]) == 2
    assert "stop needs a run that is" in capsys.readouterr().err
    assert main(["show", "tiny"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["settings"]["images_per_class"] == 20
    assert "--images-per-class 20" in shown["command"]
    assert main(["delete", row["run"]]) == 0
    assert main(["show", "tiny"]) == 2
    assert "There is no job 'tiny'" in capsys.readouterr().err


def test_a_checkpoint_with_another_ending(
    samar_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told what it belongs to, as any other."""
    monkeypatch.chdir(samar_home)
    torch.save(build_model("cnn", channels=1).state_dict(), "model_best.pth.tar")
    words = "evaluate model_best.pth.tar --dataset digits --images 8 --json"
    assert main(words.split()) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 8
    assert main(words.split()[:2]) == 2
    assert "model_best.pth.tar is a checkpoint; say which" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train --rho 7", "rho is '7', but it must be at most 5; choose another value."),
        ("train --lr fast", "lr is 'fast', but it must be a number"),
        ("train --dataset mnist", "mnist"),
        ("show nothing", "There is no job 'nothing'"),
        ("resume nothing", "There is no job 'nothing'"),
        ("evaluate missing.pt --model cnn --dataset digits", "There is no file missing.pt"),
        ("cancel nothing", "There is no job 'nothing'"),
        ("jobs --kind miracle", "There is no kind 'miracle'; choose"),
        ("jobs --status merry", "There is no status 'merry'; choose queued"),
        ("evaluate missing.pt --model lenet --dataset digits", "lenet"),
        ("train --seed 1 --seed 2", "--seed is given twice; give it once."),
        ("train --compile --no-compile", "--no-compile is given twice; give it once."),
        ("jobs --json --json", "--json is given twice; give it once."),
        ("train --name=", "--name is empty; give it a value, or leave it out."),
        ("train --rho -1e-3", "rho is '-1e-3', but it must be at least 0"),
        ("train --lr -inf", "lr is '-inf', but it must be a finite number"),
        ("train --dataset folder:~nouser", "begins in a folder that is not known here"),
        ("train --name a\tb", "'a\\tb' holds a character that is no text; write it without."),
        ("train --name \udcff", "holds a character that is no text"),
        ("landscape x --span 0", "span is '0', but it must be at least 0.0001"),
        ("landscape x --out none/x.npz", "make it, or choose another --out."),
        ("landscape x --dim 1 --out x.vtp", "A line has no surface to write as .vtp"),
        ("hessian x --dataset digits", "--dataset has no effect on 'x', which knows its own"),
        ("export x --out tb:", "--out names no folder"),
        ("app --port -1", "port is '-1', but it must be a whole number from 0 to 65535"),
        ("models --dataset digits", "--dataset has no effect without --get; leave it out."),
        ("import x.zip --quick", "--quick has no effect with the .zip of a run; leave it out."),
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


def test_a_command_says_that_a_run_waits_for_its_place(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    jobs = Jobs()
    job = jobs.store.claim(jobs.submit(TrainSettings()))
    assert job is not None
    jobs.store.move(job, "paused")
    looks = iter(("unpause", "unpause", "finish"))

    def meanwhile(_: float) -> None:
        if next(looks) == "finish":
            jobs.store.move(job, "finished")
        else:
            jobs.store.unpause(job, 0)

    monkeypatch.setattr("samar.cli.measure.time", SimpleNamespace(sleep=meanwhile))
    assert main(["resume", job.id]) == 0
    assert capsys.readouterr().err == f"samar: {WAITS}\n"


def test_cancelled_by_hand(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("samar.cli.jobs.Jobs", interrupt)
        assert main(["runs"]) == 130
    assert capsys.readouterr().err == "Cancelled.\n"
    with monkeypatch.context() as patch:  # while it imports what it needs
        patch.delitem(sys.modules, "samar.cli")
        finder = SimpleNamespace(
            find_spec=lambda name, *_: interrupt() if name == "samar.cli" else None
        )
        patch.setattr(sys, "meta_path", [finder, *sys.meta_path])
        with pytest.raises(SystemExit, match="130"):
            runpy.run_module("samar", run_name="__main__")
    assert capsys.readouterr().err == "Cancelled.\n"


def test_an_option_is_known_by_its_whole_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--epoch", "3"])
    assert "unrecognized arguments: --epoch 3" in capsys.readouterr().err


def test_kinds_that_cannot_be_found_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAMAR_KINDS", "nowhere")
    kinds.cache_clear()
    assert main(["jobs"]) == 2
    assert "SAMAR_KINDS names 'nowhere', which brings no kind of job" in capsys.readouterr().err
    kinds.cache_clear()


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
