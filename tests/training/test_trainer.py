"""The loop on digits: what it records, exact resuming, live changes, and how it diverges."""

import math
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from samar.data.dataset import Dataset
from samar.data.evaluation import evaluate
from samar.errors import CheckpointError, ConfigError
from samar.jobs.training_records import EpochRecord, StepRecord
from samar.networks.checkpoint import load_resume_state, save_resume_state
from samar.optim.catalog import OPTIMIZERS
from samar.training.loop import dataset_of, train
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer, _base

SMALL = {"images_per_class": 13, "batch_size": 32, "device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return dataset_of(TrainSettings(**SMALL))


def steps_of(trainer: Trainer, count: int) -> list[StepRecord]:
    for _ in range(count):
        trainer.step()
    return trainer.drain()


def values(record: StepRecord) -> tuple:
    """A record without its wall time; NaN made comparable."""
    row = (getattr(record, name) for name in StepRecord.__dataclass_fields__ if name != "seconds")
    return tuple("nan" if value != value else value for value in row)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_records(optimizer: str, digits: Dataset) -> None:
    records = list(train(TrainSettings(optimizer=optimizer, epochs=2, **SMALL), digits))
    steps = [record for record in records if isinstance(record, StepRecord)]
    epochs = [record for record in records if isinstance(record, EpochRecord)]
    gradients = OPTIMIZERS[optimizer].gradients_per_step
    assert [s.step for s in steps] == list(range(1, len(steps) + 1))
    spent = np.diff([s.grad_evals for s in steps], prepend=0)
    assert set(spent) <= {1, gradients}
    assert optimizer == "samar" or set(spent) == {gradients}
    assert [e.epoch for e in epochs] == [1, 2]
    assert isinstance(records[-1], EpochRecord)
    assert all(math.isfinite(s.loss) and s.grad_norm > 0 for s in steps)
    assert all(a.seconds <= b.seconds for a, b in pairwise(steps))
    for values_of in ("perturbed_loss", "sharpness"):
        measured = [math.isfinite(getattr(s, values_of)) for s in steps]
        assert measured == [gradients == 2 for gradients in spent]
    assert all(math.isfinite(s.lam) is (optimizer == "samar") for s in steps)
    assert epochs[-1].gap == epochs[-1].train_accuracy - epochs[-1].test_accuracy
    assert epochs[-1].train_images == len(digits.train)


def test_sharpness_is_the_loss_difference_and_its_ratio_moves_lambda(digits: Dataset) -> None:
    config = TrainSettings(epochs=3, rule="dead_band", beta=0, second_pass="always", **SMALL)
    steps = [r for r in train(config, digits) if isinstance(r, StepRecord)]
    assert math.isnan(steps[0].ratio)
    for before, now in pairwise(steps):
        assert now.sharpness == pytest.approx(now.perturbed_loss - now.loss, rel=1e-4, abs=1e-6)
        assert now.ratio == pytest.approx(abs(now.sharpness) / abs(before.sharpness), rel=1e-3)
    for now, after in pairwise(steps[1:]):
        if now.ratio > 1 + config.tau:
            assert after.lam == pytest.approx(min(now.lam * config.up, config.lam_max), rel=1e-5)
        elif now.ratio < 1 - config.tau:
            assert after.lam == pytest.approx(max(now.lam / config.down, config.lam_min), rel=1e-5)
        else:
            assert after.lam == now.lam


def test_the_loop_learns(digits: Dataset) -> None:
    last = list(train(TrainSettings(epochs=40, **SMALL), digits))[-1]
    assert isinstance(last, EpochRecord)
    assert last.train_accuracy > 0.9
    assert last.test_accuracy > 0.8


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("stop_at", [5, 7])
def test_resumed_equals_uninterrupted(
    optimizer: str, stop_at: int, digits: Dataset, tmp_path: Path
) -> None:
    """Bit for bit on the CPU, at the end of an epoch (5 steps) and inside one."""
    config = TrainSettings(optimizer=optimizer, epochs=3, augment="crop_flip_cutout", **SMALL)
    whole = Trainer(config, digits)
    expected = steps_of(whole, 12)

    first = Trainer(config, digits)
    records = steps_of(first, stop_at)
    save_resume_state(first.state_dict(), tmp_path / "resume.pt")
    torch.manual_seed(999)
    second = Trainer(config, digits)
    second.load_state_dict(load_resume_state(tmp_path / "resume.pt"))
    records += steps_of(second, 12 - stop_at)

    assert list(map(values, records)) == list(map(values, expected))
    for a, b in zip(
        whole.model.state_dict().values(), second.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)


def test_live_change_moves_the_next_step_and_survives_a_resume(digits: Dataset) -> None:
    trainer = Trainer(TrainSettings(epochs=3, schedule="constant", **SMALL), digits)
    steps_of(trainer, 2)
    trainer.change(lr=0.01, rho=0.5, lam_min=2.0)
    (record,) = steps_of(trainer, 1)
    assert record.lr == 0.01
    assert record.lam == pytest.approx(2.0)
    assert trainer.optimizer.param_groups[0]["rho"] == 0.5
    resumed = Trainer(TrainSettings(epochs=3, schedule="constant", **SMALL), digits)
    resumed.load_state_dict(trainer.state_dict())
    assert values(steps_of(resumed, 1)[0]) == values(steps_of(trainer, 1)[0])
    with pytest.raises(ConfigError, match="epochs cannot change"):
        trainer.change(epochs=5)


def test_a_new_lambda_decides_at_the_next_step(digits: Dataset) -> None:
    config = TrainSettings(lam=0.0, lam_min=0.0, longest=1000, epochs=20, **SMALL)
    trainer = Trainer(config, digits)
    steps_of(trainer, 5)
    spent = trainer.grad_evals
    trainer.change(lam=5.0)
    steps_of(trainer, 1)
    assert trainer.grad_evals == spent + 2


def test_lambda_is_held_and_let_go_live(digits: Dataset) -> None:
    trainer = Trainer(TrainSettings(epochs=6, **SMALL), digits)
    steps_of(trainer, 3)
    for held in (0.0, 1.0, 15.0):
        trainer.change(lam_held=held)
        assert [record.lam for record in steps_of(trainer, 3)] == [held] * 3
    trainer.change(lam_max=5.0)  # bounds do not move what is held
    assert steps_of(trainer, 1)[0].lam == 15.0
    state = deepcopy(trainer.state_dict())
    trainer.change(lam_held=None)
    free = steps_of(trainer, 3)
    assert free[0].lam == 5.0
    assert all(math.isfinite(record.ratio) for record in free)
    resumed = Trainer(TrainSettings(epochs=6, **SMALL), digits)
    resumed.load_state_dict(state)
    assert resumed.config.lam_held == 15.0
    resumed.change(lam_held=None)
    assert list(map(values, steps_of(resumed, 3))) == list(map(values, free))


SWITCHES = [("sgd", "sam"), ("sam", "samar"), ("samar", "sgd"), ("sgd", "vasso"), ("vasso", "sgd")]


@pytest.mark.parametrize(("first", "then"), SWITCHES)
def test_another_optimizer_takes_over(first: str, then: str, digits: Dataset) -> None:
    config = TrainSettings(optimizer=first, epochs=6, second_pass="always", **SMALL)
    trainer = Trainer(config, digits)
    before = steps_of(trainer, 6)
    weights = {n: w.clone() for n, w in trainer.model.state_dict().items()}
    momentum = [v["momentum_buffer"].clone() for v in _base(trainer.optimizer).state.values()]
    trainer.change(optimizer=then, rho=0.1)
    assert all(torch.equal(w, weights[n]) for n, w in trainer.model.state_dict().items())
    kept = [v["momentum_buffer"] for v in _base(trainer.optimizer).state.values()]
    assert len(kept) == len(momentum) > 0
    assert all(torch.equal(a, b) for a, b in zip(kept, momentum, strict=True))
    after = steps_of(trainer, 6)
    paid = OPTIMIZERS[then].gradients_per_step
    assert [r.grad_evals - before[-1].grad_evals for r in after] == [paid * k for k in range(1, 7)]
    assert all(math.isfinite(r.loss) and r.grad_norm > 0 for r in after)
    assert all(math.isfinite(r.perturbed_loss) is (then != "sgd") for r in after)
    assert all(math.isfinite(r.lam) is (then == "samar") for r in after)
    assert [r.step for r in after] == list(range(7, 13))


@pytest.mark.parametrize("stop_at", [6, 9, 11])
def test_resumed_after_switches_equals_uninterrupted(
    stop_at: int, digits: Dataset, tmp_path: Path
) -> None:
    """Bit for bit, and the run that resumes was begun with the first optimizer."""
    config = TrainSettings(optimizer="sgd", epochs=4, augment="crop_flip_cutout", **SMALL)
    plan = {3: "samar", 6: "vasso", 8: "samar", 10: "sgd", 12: "sam"}

    def go(trainer: Trainer, until: int) -> list[StepRecord]:
        while trainer.step_count < until:
            if name := plan.get(trainer.step_count):
                trainer.change(optimizer=name)
            trainer.step()
        return trainer.drain()

    expected = go(Trainer(config, digits), 15)
    first = Trainer(config, digits)
    records = go(first, stop_at)
    save_resume_state(first.state_dict(), tmp_path / "resume.pt")
    second = Trainer(config, digits)
    second.load_state_dict(load_resume_state(tmp_path / "resume.pt"))
    records += go(second, 15)
    assert list(map(values, records)) == list(map(values, expected))


def test_divergence_ends_the_run_with_a_hint(digits: Dataset) -> None:
    trainer = Trainer(
        TrainSettings(optimizer="sgd", lr=10, momentum=0.99, epochs=50, **SMALL), digits
    )
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(float("inf"))
    steps_of(trainer, 3)
    assert trainer.finished
    assert trainer.divergence is not None
    assert trainer.divergence.step == 1
    assert "Lower the learning rate (it is 10)" in trainer.divergence.hint


def test_other_images_are_refused(digits: Dataset) -> None:
    state = Trainer(TrainSettings(**SMALL), digits).state_dict()
    other = dataset_of(TrainSettings(**{**SMALL, "images_per_class": 14}))
    with pytest.raises(CheckpointError, match="are not those the run was trained on"):
        Trainer(TrainSettings(**SMALL), other).load_state_dict(state)


def test_warm_up_begins_above_zero(digits: Dataset) -> None:
    config = TrainSettings(epochs=3, warmup_epochs=1, schedule="constant", lr=0.4, **SMALL)
    trainer = Trainer(config, digits)
    assert trainer.steps_per_epoch == 5
    rates = [record.lr for record in steps_of(trainer, 7)]
    assert rates == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4, 0.4, 0.4])


def test_validation_figures_are_those_of_the_held_out_images() -> None:
    config = TrainSettings(epochs=1, validation=0.2, label_noise=0.2)
    dataset = dataset_of(config)
    trainer = Trainer(config, dataset)
    for _ in range(trainer.total_steps):
        trainer.step()
    record = trainer.evaluate_epoch()
    assert dataset.validation is not None
    own = evaluate(trainer.model, dataset.validation, dataset.normalization)
    assert (record.val_loss, record.val_accuracy) == pytest.approx((own.loss, own.accuracy))
    assert trainer.total_steps == 7  # 800 of the 1,000 images are left to learn from
