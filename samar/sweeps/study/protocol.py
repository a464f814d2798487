"""What the study runs: settings, arms, how each arm is tuned, and on which seeds.

Every arm with a free constant is offered the same number of trials, chosen by the accuracy on
training images held out (with labels as noisy as the others). The final runs train on all training
images with the chosen values, on other seeds than the tuning. Weights and data order depend on the
seed alone, so arms are compared pair by pair.

SAMAR's default is one of a few candidates, for all settings the same one. To see how it does where
it was not chosen, each setting is also told of the candidate that the *other* settings choose.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import fmean
from typing import Any

from samar.device.catalog import BF16
from samar.sweeps.study.rows import Row
from samar.training.schedule import HOLD
from samar.training.settings import TrainSettings

TRIALS = 5
MOST_GRADIENTS = 1.5
"""What the default may cost: gradients a step, on average over the settings."""
TWICE = "version_01"
"""The candidate that takes two gradients at every step."""
TUNING_SEED = 0
FINAL_SEEDS = {"digits": (1, 2, 3, 4, 5), "cifar": (1, 2, 3)}
VALIDATION = 0.2
CURVATURE_SEEDS = (1, 2, 3)
CURVATURE_IMAGES = 128

PHASES = {
    "tune": "choosing each arm's constants on held-out training images",
    "candidates": "SAMAR's candidates for the default, on held-out training images",
    "final": "the chosen constants on all training images, on fresh seeds",
}


@dataclass(frozen=True)
class Task:
    """A data set, a network and a budget.

    Attributes:
        images: the images it needs besides those that ship: "" none, "small" or "large".
        main: whether it is too long for more than the main arms.
        tuned_on: the task whose trials choose for it, where trials of its own would be too long.
    """

    title: str
    changes: Mapping[str, Any]
    images: str = ""
    main: bool = False
    tuned_on: str = ""

    @property
    def family(self) -> str:
        """Key of `FINAL_SEEDS`."""
        return "cifar" if self.images else "digits"


_PHOTOGRAPHS = {
    "model": "resnet20",
    "halved": True,
    "augment": "flip",
    "precision": BF16,
    "lr": 0.1,
    "epochs": 24,
}

TASKS = {
    "digits_clean": Task("Digits, right labels", {"epochs": 60}),
    "digits_noise20": Task("Digits, 20 % wrong labels", {"epochs": 60, "label_noise": 0.2}),
    "digits_noise40": Task("Digits, 40 % wrong labels", {"epochs": 60, "label_noise": 0.4}),
    "cifar_cnn": Task(
        "CIFAR-10, 10,000 images of 16 × 16, small CNN",
        {**_PHOTOGRAPHS, "model": "cnn", "lr": 0.05},
        images="small",
    ),
    "cifar": Task("CIFAR-10, 10,000 images of 16 × 16, ResNet-20", _PHOTOGRAPHS, images="small"),
    "cifar_noise20": Task(
        "CIFAR-10, 10,000 images of 16 × 16, ResNet-20, 20 % wrong labels",
        {**_PHOTOGRAPHS, "label_noise": 0.2},
        images="small",
    ),
    "cifar_large": Task(
        "CIFAR-10, 50,000 images of 16 × 16, ResNet-20",
        {**_PHOTOGRAPHS, "lr": 0.2},  # for every arm that which SGD's trials choose
        images="large",
        main=True,
        tuned_on="cifar",
    ),
}


@dataclass(frozen=True)
class Arm:
    """A way to train, and the trials among which validation chooses (none: it is as it is).

    Attributes:
        changes: settings that make the arm.
        grid: settings of each trial; `TRIALS` of them, or none.
        photographs: the trials on CIFAR, where they are others.
        follows: an arm whose choice it takes over, instead of trials of its own.
        rate: an arm whose learning rate it takes over, before trials of its own.
        passes: epochs as a multiple of the task's.
        main: whether it is run on a task for the main arms only.
    """

    title: str
    changes: Mapping[str, Any]
    grid: tuple[Mapping[str, Any], ...] = ()
    photographs: tuple[Mapping[str, Any], ...] = ()
    follows: str = ""
    rate: str = ""
    passes: float = 1
    main: bool = False

    def takes_part(self, setting: str) -> bool:
        """Whether the arm is run on a task."""
        return self.main or not TASKS[setting].main

    def trials(self, task: Task) -> tuple[Mapping[str, Any], ...]:
        """The trials on a task."""
        return self.photographs if self.photographs and task.images else self.grid


def _each(name: str, *values: float) -> tuple[Mapping[str, Any], ...]:
    return tuple({name: value} for value in values)


_LR = _each("lr", 0.01, 0.02, 0.05, 0.1, 0.2)
_RHO = _each("rho", 0.05, 0.1, 0.2, 0.4, 0.8)
_SMALL_RHO = _each("rho", 0.025, 0.05, 0.1, 0.2, 0.4)
_WIDE_RHO = _each("rho", 0.25, 0.5, 1.0, 2.0, 4.0)
VERSION_01: dict[str, Any] = {
    "second_pass": "always",
    "rule": "trend_power",
    "rho": 0.2,
    "lam": 1.0,
    "lam_min": 0.25,
    "lam_max": 10.0,
    "beta": 0.9,
    "gain": 0.2,
    "memory": 100.0,
}
"""SAMAR as it was first defined here, an arm and a candidate."""

_SAM = {"optimizer": "sam", "second_pass": "always"}

ARMS = {
    "sgd": Arm("SGD", {"optimizer": "sgd"}, _LR, main=True),
    "sgd_half": Arm(
        "SGD, 1.5 × the epochs", {"optimizer": "sgd"}, follows="sgd", passes=1.5, main=True
    ),
    "sgd_twice": Arm(
        "SGD, twice the epochs", {"optimizer": "sgd"}, follows="sgd", passes=2, main=True
    ),
    "sam": Arm("SAM, ρ tuned", _SAM, _RHO, _SMALL_RHO, main=True),
    "sam_default": Arm("SAM, ρ 0.2", {**_SAM, "rho": 0.2}),
    "asam": Arm("ASAM, ρ tuned", {**_SAM, "adaptive": True}, _WIDE_RHO),
    "vasso": Arm(
        "VaSSO, ρ tuned",
        {"optimizer": "vasso", "theta": 0.9, "second_pass": "always"},
        _RHO,
        _SMALL_RHO,
    ),
    "late": Arm(
        "SAM in the last 30 %, ρ tuned",
        {**_SAM, "second_pass": "late", "begin": 0.7},
        _RHO,
        _SMALL_RHO,
    ),
    "temperon": Arm(
        "SAM from the decay of η on, ρ tuned",
        {**_SAM, "second_pass": "late", "begin": HOLD, "schedule": "hold_cosine"},
        _RHO,
        _SMALL_RHO,
        main=True,
    ),
    "ae_sam": Arm("AE-SAM, ρ tuned", {**_SAM, "second_pass": "threshold"}, _RHO, _SMALL_RHO),
    "samar_01": Arm("SAMAR of version 0.1", {"optimizer": "samar", **VERSION_01}),
    "samar": Arm("SAMAR, defaults", {"optimizer": "samar"}, main=True),
    "samar_left_out": Arm("SAMAR, chosen without this setting", {"optimizer": "samar"}),
    "samar_rho": Arm("SAMAR, ρ tuned", {"optimizer": "samar"}, _RHO, _SMALL_RHO),
    "sam_rate": Arm("SAM, ρ tuned, at SGD's η", _SAM, _RHO, _SMALL_RHO, rate="sgd"),
    "samar_rate": Arm("SAMAR, defaults, at SGD's η", {"optimizer": "samar"}, follows="sgd"),
    # What of Temperon's schedule is the learning rate's alone:
    "sgd_hold": Arm("SGD, late decay of η", {"optimizer": "sgd", "schedule": "hold_cosine"}),
    "samar_hold": Arm(
        "SAMAR, defaults, late decay of η", {"optimizer": "samar", "schedule": "hold_cosine"}
    ),
}

SAM_TYPE = ("sam", "asam", "vasso", "late", "temperon", "ae_sam")
"""The arms of which the best tuned one is the mark."""
CURVE_ARMS = {"sam": "SAM", "samar_rho": "SAMAR"}
"""Their trials show how much ρ matters."""


def _candidate(**changes: Any) -> Mapping[str, Any]:
    """Dithering with the trend's power law, unless told otherwise."""
    return {
        "rule": "trend_power",
        "second_pass": "dither",
        "memory": 100.0,
        "beta": 0.9,
        "lam": 1.0,
        "lam_max": 20.0,
        **changes,
    }


_SHARE = {"rule": "share", "scale": 10.0, "lam": 0.1, "lam_min": 0.05}

CANDIDATES: dict[str, Mapping[str, Any]] = {
    "version_01": VERSION_01,
    "trend_1": _candidate(rho=0.1, gain=0.4, strength=1.0, lam_min=0.1),
    "trend_2": _candidate(rho=0.1, gain=0.4, strength=2.0, lam_min=0.25),
    "trend_3": _candidate(rho=0.1, gain=0.4, strength=3.0, lam_min=0.1),
    "trend_3_slow": _candidate(rho=0.1, gain=0.2, strength=3.0, lam_min=0.1),
    "trend_3_wide": _candidate(rho=0.2, gain=0.4, strength=3.0, lam_min=0.1),
    "trend_6": _candidate(rho=0.1, gain=0.4, strength=6.0, lam_min=0.1),
    "share_3": _candidate(rho=0.1, strength=3.0, **_SHARE),
}
"""What the default is chosen from; each was found by trying, on these very settings."""


@dataclass(frozen=True)
class Trial:
    """One run to make: its place in the study and its config."""

    setting: str
    phase: str
    arm: str
    config: TrainSettings = field(repr=False)


def config_of(
    setting: str,
    arm: str,
    *,
    seed: int,
    chosen: Mapping[str, Any] | None = None,
    validation: float = 0.0,
    images: str | None = None,
) -> TrainSettings:
    """The complete config of a run.

    Args:
        setting: a key of `TASKS`.
        arm: a key of `ARMS`.
        seed: of weights, data order and wrong labels.
        chosen: settings on top of the arm's.
        validation: share held out.
        images: "folder:PATH" with the CIFAR images, for settings that need them.
    """
    task, how = TASKS[setting], ARMS[arm]
    values = {**task.changes, **how.changes, **(chosen or {})}
    values["epochs"] = round(task.changes["epochs"] * how.passes)
    if task.images:
        values["dataset"] = images or "folder:cifar10"
    return TrainSettings.parse({**values, "seed": seed, "validation": validation})


def trials(
    phase: str, setting: str, rows: Sequence[Row] = (), images: str | None = None
) -> Iterator[Trial]:
    """The runs of a phase on one setting; all arms of a seed before the next seed.

    Args:
        phase: a key of `PHASES`. Of the final runs, those whose arm is tuned.
        rows: so far; they say what was chosen.
        images: "folder:PATH" with the CIFAR images, for settings that need them.
    """
    arms = [name for name, arm in ARMS.items() if arm.takes_part(setting)]

    def trial(arm: str, seed: int, values: Mapping[str, Any], share: float = 0.0) -> Trial:
        how = "samar" if phase == "candidates" else arm
        config = config_of(setting, how, seed=seed, chosen=values, validation=share, images=images)
        return Trial(setting, phase, arm, config)

    match phase:
        case "tune" if not TASKS[setting].tuned_on:
            for arm in arms:
                for values in offered(rows, setting, arm) or ():
                    yield trial(arm, TUNING_SEED, values, VALIDATION)
        case "candidates":
            for name, values in CANDIDATES.items():
                if not TASKS[setting].main:
                    yield trial(name, TUNING_SEED, values, VALIDATION)
        case "final":
            for seed, arm in product(FINAL_SEEDS[TASKS[setting].family], arms):
                if (best := chosen(rows, setting, arm)) is not None:
                    yield trial(arm, seed, best)


def offered(rows: Sequence[Row], setting: str, arm: str) -> tuple[Mapping[str, Any], ...] | None:
    """An arm's trials on a setting; None while the learning rate it takes over is not chosen."""
    trials, rate = ARMS[arm].trials(TASKS[setting]), ARMS[arm].rate
    if not rate:
        return trials
    taken = chosen(rows, setting, rate)
    return None if taken is None else tuple({**taken, **trial} for trial in trials)


def chosen(rows: Sequence[Row], setting: str, arm: str) -> Mapping[str, Any] | None:
    """The trial with the best validation accuracy, the first of equals, where the setting is tuned.

    Returns:
        The trial's settings; None while an arm with trials has not been tuned to the end.
    """
    if arm == "samar_left_out":
        best = best_candidate(rows, without=setting)
        return None if best is None else CANDIDATES[best]
    arm, setting = ARMS[arm].follows or arm, TASKS[setting].tuned_on or setting
    trials = offered(rows, setting, arm)
    if trials is None:
        return None
    if not trials:
        return {}
    scores = []
    for trial in trials:
        config = config_of(setting, arm, seed=TUNING_SEED, chosen=trial, validation=VALIDATION)
        found = [
            validated(row)
            for row in rows
            if (row.setting, row.phase, row.arm) == (setting, "tune", arm)
            and all(getattr(row, name) == getattr(config, name) for name in trial)
        ]
        if not found:
            return None
        scores.append(found[0])
    return trials[scores.index(max(scores))]


def best_candidate(rows: Sequence[Row], without: str = "") -> str | None:
    """The candidate with the best mean validation accuracy over all settings but one.

    Of those that take at most `MOST_GRADIENTS` a step, on average over these settings.

    Returns:
        A key of `CANDIDATES`, the first of equals; None while one of them lacks a run.
    """
    settings = [name for name, task in TASKS.items() if not task.main and name != without]
    known = {(row.setting, row.arm): validated(row) for row in rows if row.phase == "candidates"}
    if any((setting, name) not in known for setting in settings for name in CANDIDATES):
        return None
    cheap = [name for name in CANDIDATES if price_of(rows, name, settings) <= MOST_GRADIENTS]
    return max(
        cheap,
        key=lambda name: sum(known[setting, name] for setting in settings),
        default=None,
    )


def price_of(rows: Sequence[Row], candidate: str, settings: Sequence[str]) -> float:
    """Gradients a step of a candidate, the mean over settings.

    Version 0.1 took two at every step, which tells how many steps a run has. Infinite where a run
    diverged.
    """
    whole = [r for r in rows if r.phase == "candidates" and r.status == "finished"]
    spent = {(r.setting, r.arm): r.grad_evals for r in whole}
    if any((s, name) not in spent for s in settings for name in (candidate, TWICE)):
        return math.inf
    return fmean(2 * spent[s, candidate] / spent[s, TWICE] for s in settings)


def validated(row: Row) -> float:
    """Accuracy on the held-out images; a diverged run has learnt nothing."""
    return row.val_accuracy if row.status == "finished" else 0.0
