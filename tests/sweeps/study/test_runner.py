"""The runner makes what is missing and nothing twice; its rows hold what the trainer says."""

import math
from pathlib import Path

import pytest
import torch

from samar.cli import main
from samar.data.dataset import Dataset, ImageSet
from samar.data.normalization import Normalization
from samar.sweeps.study import protocol, runner
from samar.sweeps.study.protocol import Arm, Task, Trial, config_of
from samar.sweeps.study.rows import read_rows
from samar.sweeps.study.runner import Plan, halved, run_study, run_trial
from samar.training.loop import dataset_of, train
from samar.training.records import EpochRecord, StepRecord

ARMS = {
    "sgd": Arm("SGD", {"optimizer": "sgd"}, ({"lr": 0.05}, {"lr": 0.1})),
    "sam_default": Arm("SAM", {"optimizer": "sam", "rho": 0.2}),
    "sam": Arm("SAM tuned", {"optimizer": "sam"}, ({"rho": 0.2}, {"rho": 0.2001})),
    "samar": Arm("SAMAR", {"optimizer": "samar"}),
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A study of seconds: two epochs of twenty images, one final seed."""
    task = Task("tiny", {"epochs": 2, "images_per_class": 2, "batch_size": 8})
    monkeypatch.setattr(protocol, "ARMS", ARMS)
    monkeypatch.setattr(protocol, "TASKS", {"digits_clean": task})
    monkeypatch.setattr(runner, "TASKS", {"digits_clean": task})
    monkeypatch.setattr(protocol, "FINAL_SEEDS", {"digits": (1,)})
    monkeypatch.setattr(runner, "CURVATURE_IMAGES", 16)
    return tmp_path / "study.csv"


def _quiet(sentence: str) -> None:
    pass


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    made: list[Trial] = []
    original = runner.run_trial

    def counting(trial: Trial, dataset: Dataset):
        made.append(trial)
        return original(trial, dataset)

    monkeypatch.setattr(runner, "run_trial", counting)
    return made


def test_a_study_is_made_once_and_goes_on_where_it_was_left(tiny, monkeypatch) -> None:
    made = _counted(monkeypatch)
    tune = run_study(Plan(tiny, ["digits_clean"], ["tune"]), _quiet)
    assert len(made) == len(tune) == 4
    everything = Plan(tiny, ["digits_clean"], ["tune", "final"])
    rows = run_study(everything, _quiet)
    # Four final arms; the tuned SAM chose the default's ρ, whose row it takes over.
    assert len(rows) == 8
    assert len(made) == 7
    assert run_study(everything, _quiet) == read_rows(tiny)
    assert len(made) == 7
    twins = [row for row in rows if row.phase == "final" and row.optimizer == "sam"]
    assert [row.arm for row in twins] == ["sam_default", "sam"]
    assert twins[0].test_accuracy == twins[1].test_accuracy
    assert all(row.lambda_max > 0 for row in rows if row.phase == "final")
    assert all(math.isnan(row.lambda_max) for row in rows if row.phase == "tune")
    # A study cut short in the middle of a line's writing is completed.
    lines = tiny.read_text(encoding="utf-8").splitlines(keepends=True)
    tiny.write_text("".join(lines[:-1]), encoding="utf-8")
    assert len(run_study(everything, _quiet)) == 8
    assert len(made) == 8


def test_no_run_is_begun_after_the_time(tiny, monkeypatch) -> None:
    made = _counted(monkeypatch)
    said: list[str] = []
    run_study(Plan(tiny, ["digits_clean"], ["final"], hours=1e-12), said.append)
    assert not made
    assert "hours are over; start again to go on." in said[-1]


def test_a_row_says_what_the_training_loop_says() -> None:
    config = config_of("digits_clean", "samar", seed=1).changed(epochs=1, images_per_class=4)
    row = run_trial(Trial("digits_clean", "tune", "samar", config), dataset_of(config))
    records = list(train(config))
    steps = [record for record in records if isinstance(record, StepRecord)]
    (end,) = [record for record in records if isinstance(record, EpochRecord)]
    assert row.test_accuracy == end.test_accuracy
    assert row.train_accuracy == end.train_accuracy
    assert row.gap == end.gap
    assert row.grad_evals == end.grad_evals == 2 * len(steps)
    assert row.lam_last == steps[-1].lam
    assert row.lam_mean == pytest.approx(sum(step.lam for step in steps) / len(steps))
    assert (row.rule, row.rho, row.status) == (config.rule, config.rho, "finished")
    assert math.isnan(row.theta)


def test_a_diverged_run_has_its_row() -> None:
    config = config_of("digits_clean", "sgd", seed=1).changed(lr=10, epochs=8, momentum=0.99)
    config = config.changed(images_per_class=2, weight_decay=1)
    row = run_trial(Trial("digits_clean", "tune", "sgd", config), dataset_of(config))
    assert row.status in ("diverged", "finished")
    if row.status == "diverged":
        assert math.isnan(row.test_accuracy)


def test_halved_images_are_means_of_four() -> None:
    pixels = torch.tensor([[[[0, 4, 10, 10], [8, 12, 10, 11], [1, 1, 0, 0], [1, 0, 0, 255]]]])
    images = ImageSet(pixels.to(torch.uint8), torch.tensor([0]))
    dataset = Dataset("x", images, images, ("a",), Normalization((0.0,), (1.0,)), 0, "sum")
    half = halved(dataset)
    assert half.train.images.tolist() == [[[[6, 10], [1, 64]]]]
    assert half.test.size == 2
    assert half.validation is None


def test_the_command_line(tiny, capsys, monkeypatch) -> None:
    monkeypatch.setattr("samar.cli.study.TASKS", protocol.TASKS)
    assert main(["study", "--phase", "final", "--out", str(tiny)]) == 0
    assert "digits_clean · final · samar · seed 1: finished" in capsys.readouterr().out
    assert main(["study", "--report", "--out", str(tiny)]) == 0
    assert "| SAMAR, defaults |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--setting", "mars"], "There is no setting 'mars'; choose digits_clean or"),
        (["--phase", "dream"], "There is no phase 'dream'"),
        (["--setting", "cifar"], "'cifar' needs CIFAR-10 images; give --images folder:PATH."),
        (["--hours", "0"], "--hours is 0; give a positive number."),
        (["--report", "--out", "nowhere.csv"], "There is no table nowhere.csv"),
    ],
)
def test_mistakes_are_told_in_one_sentence(words, message, capsys) -> None:
    assert main(["study", *words]) == 2
    assert message in capsys.readouterr().err
