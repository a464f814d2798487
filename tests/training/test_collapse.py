"""A collapse is recognized, where it lasts, and nothing else is."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from samar.jobs.training_records import EpochRecord, StepRecord
from samar.optim.catalog import OPTIMIZERS
from samar.training.collapse import Collapse, collapse_of
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

SMALL = {"images_per_class": 20, "batch_size": 32, "device": "cpu", "precision": "fp32"}
PER_EPOCH, CLASSES = 10, 10
GUESSING = math.log(CLASSES)


def columns(loss: Sequence[float], accuracy: Sequence[float] = (), sharp: bool = True) -> Any:
    """Columns of made-up steps, ten an epoch, and epochs."""
    at = np.arange(1.0, len(loss) + 1)
    values = np.array(loss, dtype=float)
    steps = {"step": at, "loss": values, "epoch": (at - 1) // PER_EPOCH + 1}
    steps["perturbed_loss"] = values + 0.1 if sharp else np.full_like(values, np.nan)
    ends = PER_EPOCH * np.arange(1.0, len(accuracy) + 1)
    return steps, {"step": ends, "train_accuracy": np.array(accuracy, dtype=float)}


def found(
    loss: Sequence[float],
    accuracy: Sequence[float] = (),
    *,
    sharp: bool = True,
    began: Mapping[str, Any] | None = None,
    changes: Sequence[tuple[int, Mapping[str, Any]]] = (),
    states: Sequence[int] = (),
) -> Collapse | None:
    steps, epochs = columns(loss, accuracy, sharp)
    return collapse_of(steps, epochs, classes=CLASSES, began=began, changes=changes, states=states)


FALLS = [2.3] * 20 + [1.0] * 60
GUESSES = [GUESSING] * 30


def test_it_names_step_setting_and_the_way_back() -> None:
    collapse = found(
        [*FALLS, *GUESSES],
        [0.1, 0.3, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1],
        changes=[(40, {"lr": 0.1}), (75, {"rho": 1.0})],
        states=[0, 20, 40, 60, 70, 75, 90, 100],
    )
    assert collapse == Collapse(
        step=81,
        epoch=9,
        back=75,
        setting="rho",
        sentence="The step was too large: the network forgot everything. "
        "Go back to step 75 and take a smaller ρ.",
    )


def test_without_a_change_and_without_a_state() -> None:
    collapse = found([*FALLS, *GUESSES])
    assert collapse is not None
    assert (collapse.back, collapse.setting) == (None, "rho")
    assert collapse.sentence.endswith(
        "forgot everything. Start again with a smaller ρ or learning rate."
    )
    plain = found([*FALLS, *GUESSES], sharp=False)
    assert plain is not None
    assert plain.sentence.endswith("forgot everything. Start again with a smaller learning rate.")


def test_a_first_change_is_a_raise_only_above_what_the_run_began_with() -> None:
    known: dict[str, Any] = {"changes": [(40, {"rho": 0.1})], "states": [20, 40, 60, 75]}
    lowered = found([*FALLS, *GUESSES], began={"rho": 0.5, "lr": 0.1}, **known)
    assert lowered is not None
    assert (lowered.back, lowered.setting) == (75, "rho")
    assert lowered.sentence.endswith("Go back to step 75 and take a smaller ρ or learning rate.")
    raised = found([*FALLS, *GUESSES], began={"rho": 0.05, "lr": 0.1}, **known)
    assert raised is not None
    assert raised.sentence.endswith("Go back to epoch 4 and take a smaller ρ.")


@pytest.mark.parametrize("loss", [9.0, 1e6])
def test_a_loss_above_guessing_is_one_too(loss: float) -> None:
    assert found([*FALLS, *[loss] * 30]) is not None


@pytest.mark.parametrize(
    ("loss", "accuracy"),
    [
        ([], []),
        ([2.3] * 200, [0.1] * 20),  # never learned
        (FALLS, [0.1] * 8),
        ([*FALLS, *[2.3] * 5, *[1.0] * 10], []),  # a few bad mini-batches
        ([*FALLS, *[3.0] * 5], []),
        ([*FALLS, *GUESSES, *[1.5] * 20], []),  # recovered
        ([*FALLS, *GUESSES], [0.1, *[0.9] * 10]),  # the whole network still knows
    ],
)
def test_nothing_else_is(loss: list[float], accuracy: list[float]) -> None:
    assert found(loss, accuracy) is None


def trained(
    epochs: int, changes: Mapping[int, Mapping[str, Any]] | None = None, **settings: Any
) -> list[tuple[int, Collapse | None]]:
    """What is found after every few steps of a real run."""
    config = TrainSettings(**{**SMALL, "epochs": epochs, **settings})
    trainer = Trainer(config, dataset_of(config))
    steps: list[StepRecord] = []
    epoch_records: list[EpochRecord] = []
    said = []
    while not trainer.finished:
        if detail := (changes or {}).get(trainer.step_count):
            trainer.change(**detail)
        trainer.step()
        if trainer.at_epoch_end:
            steps += trainer.drain()
            epoch_records.append(trainer.evaluate_epoch())
            names = ("step", "epoch", "loss", "perturbed_loss")
            collapse = collapse_of(
                {n: np.array([getattr(r, n) for r in steps], dtype=float) for n in names},
                {
                    n: np.array([getattr(r, n) for r in epoch_records], dtype=float)
                    for n in ("step", "train_accuracy")
                },
                classes=10,
                changes=sorted((changes or {}).items()),
                states=[r.step for r in epoch_records],
            )
            said.append((trainer.step_count, collapse))
    return said


def test_a_real_run_whose_radius_was_dragged_too_far() -> None:
    strong = {"rho": 0.2, "gain": 0.2, "lam_min": 0.25, "lam_max": 10.0, "second_pass": "always"}
    said = trained(28, {119: {"rho": 2.0}}, schedule="constant", **strong)
    assert all(collapse is None for step, collapse in said if step <= 119)
    _, collapse = said[-1]
    assert collapse is not None
    assert (collapse.setting, collapse.back) == ("rho", 119)
    assert 119 < collapse.step < 196


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_healthy_real_runs(optimizer: str) -> None:
    said = trained(16, optimizer=optimizer, label_noise=0.4)
    assert all(collapse is None for _, collapse in said)
