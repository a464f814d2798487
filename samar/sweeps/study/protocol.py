"""What the study runs: settings, arms, how each arm is tuned, and on which seeds.

Every arm with a free constant is offered the same number of trials, chosen by the accuracy on
training images held out (with labels as noisy as the others). The final runs train on all training
images with the chosen values, on other seeds than the tuning. Weights and data order depend on the
seed alone, so arms are compared pair by pair.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from samar.sweeps.study.explored import EXPLORED
from samar.sweeps.study.rows import Row
from samar.training.settings import TrainSettings

TRIALS = 3
TUNING_SEEDS = (0,)
EXPLORING_SEEDS = (0,)
FINAL_SEEDS = {"digits": (1, 2, 3, 4, 5), "cifar": (1, 2, 3)}
CURVE_SEEDS = {"digits": (1, 2, 3), "cifar": (1,)}
CURVE_RHO = (0.02, 0.05, 0.1, 0.2, 0.5)
VALIDATION = 0.2
CURVATURE_SEEDS = (1, 2, 3)
CURVATURE_IMAGES = 128
BASE_RHO = TrainSettings().rho

PHASES = {
    "tune": "choosing each arm's constants on held-out training images",
    "final": "the chosen constants on all training images, on fresh seeds",
    "curve": "SAM and SAMAR over the radius ρ",
    "explore": "what was tried on the way to the default rule",
}


@dataclass(frozen=True)
class Task:
    """A data set, a network and a budget.

    Attributes:
        images: whether it needs the folder of CIFAR images.
        compared: whether arms are tuned and compared on it; else it is only explored.
    """

    title: str
    changes: Mapping[str, Any]
    images: bool = False
    compared: bool = True

    @property
    def family(self) -> str:
        """Key of `FINAL_SEEDS`."""
        return "cifar" if self.images else "digits"


_QUICK = {"batch_size": 64, "augment": "none", "precision": "bf16"}

TASKS = {
    "digits_clean": Task("Digits, right labels", {"epochs": 60}),
    "digits_noise20": Task("Digits, 20 % wrong labels", {"epochs": 60, "label_noise": 0.2}),
    "digits_noise40": Task("Digits, 40 % wrong labels", {"epochs": 60, "label_noise": 0.4}),
    "cifar": Task(
        "CIFAR-10, 2,000 images of 16 × 16",
        {
            "model": "resnet20",
            "images_per_class": 200,
            "epochs": 16,
            "halved": True,
            **_QUICK,
        },
        images=True,
    ),
    "cifar_full": Task(
        "CIFAR-10, 10,000 images of 32 × 32",
        {"model": "resnet20", "epochs": 12, **_QUICK},
        images=True,
    ),
    "digits_long": Task(
        "Digits, 40 % wrong labels, 200 epochs",
        {"epochs": 200, "label_noise": 0.4},
        compared=False,
    ),
}
COMPARED = tuple(name for name, task in TASKS.items() if task.compared)


@dataclass(frozen=True)
class Arm:
    """A way to train, and the trials among which validation chooses (none: it is as it is).

    Attributes:
        changes: settings that make the arm.
        grid: settings of each trial; `TRIALS` of them, or none.
        photographs: the trials on CIFAR, where they are others.
        tasks: keys of the tasks it takes part in; all of them where empty.
        passes: epochs as a multiple of the task's; SGD with 2 takes as many gradients as SAM.
    """

    title: str
    changes: Mapping[str, Any]
    grid: tuple[Mapping[str, Any], ...] = ()
    photographs: tuple[Mapping[str, Any], ...] = ()
    tasks: tuple[str, ...] = ()
    passes: int = 1

    def takes_part(self, setting: str) -> bool:
        """Whether the arm is run on a task."""
        return not self.tasks or setting in self.tasks

    def trials(self, task: Task) -> tuple[Mapping[str, Any], ...]:
        """The trials on a task."""
        return self.photographs if self.photographs and task.images else self.grid


def _each(name: str, *values: float) -> tuple[Mapping[str, Any], ...]:
    return tuple({name: value} for value in values)


OLD_DEFAULT = {
    "rule": "dead_band",
    "tau": 0.1,
    "up": 1.05,
    "down": 1.02,
    "beta": 0.0,
    "lam": 1.0,
    "lam_min": 0.1,
    "lam_max": 3.0,
    "rho": BASE_RHO,
}
_SAMAR = {"optimizer": "samar", "rho": BASE_RHO, "lam": 1.0, "lam_min": 0.1, "lam_max": 5.0}
_LR = _each("lr", 0.02, 0.05, 0.1)
_RHO = _each("rho", 0.05, 0.2, 0.5)
_SMALL_RHO = _each("rho", 0.02, 0.05, 0.1)
_CHEAP = ("digits_clean", "digits_noise20", "digits_noise40", "cifar")

ARMS = {
    "sgd": Arm("SGD, equal epochs", {"optimizer": "sgd"}, _LR),
    "sgd_twice": Arm("SGD, equal gradients", {"optimizer": "sgd"}, _LR, passes=2),
    "sam_default": Arm("SAM, ρ of the defaults", {"optimizer": "sam", "rho": BASE_RHO}),
    "sam": Arm("SAM, ρ tuned", {"optimizer": "sam"}, _RHO, _SMALL_RHO),
    "vasso": Arm("VaSSO, ρ tuned", {"optimizer": "vasso", "theta": 0.9}, _RHO, _SMALL_RHO),
    "samar": Arm("SAMAR, defaults", {"optimizer": "samar"}),
    "samar_rho": Arm("SAMAR, ρ tuned", {"optimizer": "samar"}, _RHO, _SMALL_RHO),
    "samar_old": Arm("SAMAR, former defaults", {"optimizer": "samar", **OLD_DEFAULT}, tasks=_CHEAP),
    "fixed": Arm(
        "SAMAR, fixed λ tuned",
        {**_SAMAR, "rule": "fixed"},
        _each("lam", 0.5, 2.0, 5.0),
        tasks=_CHEAP,
    ),
    "trend": Arm(
        "SAMAR, trend tuned",
        {"optimizer": "samar", "rule": "trend"},
        _each("tau", 0.02, 0.05, 0.1),
    ),
    "dead_band": Arm(
        "SAMAR, dead band tuned",
        {**OLD_DEFAULT, "optimizer": "samar"},
        _each("lam_max", 1.5, 3.0, 6.0),
        tasks=_CHEAP,
    ),
    "power": Arm(
        "SAMAR, power tuned",
        {**_SAMAR, "rule": "power", "beta": 0.95, "lam_max": 20.0},
        _each("gamma", 1.0, 2.0, 4.0),
        tasks=_CHEAP,
    ),
    "additive": Arm(
        "SAMAR, additive tuned",
        {**_SAMAR, "rule": "additive", "beta": 0.0},
        _each("delta", 0.005, 0.02, 0.05),
        tasks=_CHEAP,
    ),
}

CURVE_ARMS = {"sam_default": "SAM", "samar": "SAMAR, defaults"}


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
    values["epochs"] = task.changes["epochs"] * how.passes
    if task.images:
        values["dataset"] = images or "folder:cifar10"
    return TrainSettings.parse({**values, "seed": seed, "validation": validation})


def _arms(setting: str) -> list[tuple[str, Arm]]:
    return [(name, arm) for name, arm in ARMS.items() if arm.takes_part(setting)]


def trials(
    phase: str, setting: str, rows: Sequence[Row] = (), images: str | None = None
) -> Iterator[Trial]:
    """The runs of a phase on one setting; all arms of a seed before the next seed.

    Args:
        phase: a key of `PHASES`. Of the final runs, those whose arm is tuned.
        rows: so far; they say what was chosen.
        images: "folder:PATH" with the CIFAR images, for settings that need them.
    """
    family, arms = TASKS[setting].family, _arms(setting)

    def trial(arm: str, seed: int, values: Mapping[str, Any], share: float = 0.0) -> Trial:
        how = "samar" if phase == "explore" else arm
        config = config_of(setting, how, seed=seed, chosen=values, validation=share, images=images)
        return Trial(setting, phase, arm, config)

    match phase:
        case "tune":
            for seed, (arm, how) in product(TUNING_SEEDS, arms):
                for values in how.trials(TASKS[setting]):
                    yield trial(arm, seed, values, VALIDATION)
        case "final":
            for seed, (arm, _) in product(FINAL_SEEDS[family], arms):
                if (best := chosen(rows, setting, arm)) is not None:
                    yield trial(arm, seed, best)
        case "curve":
            for seed, rho, arm in product(CURVE_SEEDS[family], CURVE_RHO, CURVE_ARMS):
                yield trial(arm, seed, {"rho": rho})
        case "explore":
            for seed, (arm, reading) in product(EXPLORING_SEEDS, EXPLORED.items()):
                for rho in reading.radii.get(setting, ()):
                    yield trial(arm, seed, {**reading.changes, "rho": rho}, VALIDATION)


def chosen(rows: Sequence[Row], setting: str, arm: str) -> Mapping[str, Any] | None:
    """The trial with the best mean validation accuracy, the first of equals.

    Returns:
        The trial's settings; None while an arm with trials has not been tuned to the end.
    """
    trials = ARMS[arm].trials(TASKS[setting])
    if not trials:
        return {}
    scores = []
    for trial in trials:
        config = config_of(setting, arm, seed=0, chosen=trial, validation=VALIDATION)
        found = [
            row.val_accuracy if row.status == "finished" else 0.0
            for row in rows
            if (row.setting, row.phase, row.arm) == (setting, "tune", arm)
            and all(getattr(row, name) == getattr(config, name) for name in trial)
        ]
        if len(found) < len(TUNING_SEEDS):
            return None
        scores.append(sum(found) / len(found))
    return trials[scores.index(max(scores))]
