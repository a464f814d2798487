"""What the study's rows say: tables, paired differences, the target, the curves over ρ.

Everything is computed from the rows; nothing is typed in. Accuracies are fractions. Differences
are paired: both arms started from the same weights and saw the data in the same order. Their
interval is Student's t over the seeds, which takes seeds as the only source of chance: all of a
setting's runs share one set of test images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from samar.optim.catalog import OPTIMIZERS, RULES
from samar.settings.declare import settings_of as declared
from samar.sweeps.statistics import Interval, MeanStd, mean_std, t_interval
from samar.sweeps.study.protocol import ARMS, CURVE_ARMS, TASKS
from samar.sweeps.study.rows import NAN, SETTINGS, Row
from samar.training.settings import TrainSettings

POINT = 0.01
"""The target's margin: one point of test accuracy."""


@dataclass(frozen=True)
class Result:
    """An arm's final runs on one setting: means over `seeds` runs.

    Attributes:
        diverged: how many of the runs diverged; they count as accuracy 0.
        chosen: the settings that are the same in all runs, as words.
    """

    arm: str
    title: str
    seeds: int
    diverged: int
    test: MeanStd
    train: float
    gap: float
    lam_mean: float
    lambda_max: float
    trace: float
    grad_evals: float
    seconds: float
    chosen: str


@dataclass(frozen=True)
class Verdict:
    """The target on one setting: SAMAR at its defaults against SAM with ρ tuned for it."""

    setting: str
    against_tuned: Interval
    against_default: Interval

    @property
    def met(self) -> bool:
        """Whether the mean is within one point of tuned SAM, or above it."""
        return self.against_tuned.mean >= -POINT


@dataclass(frozen=True)
class Curve:
    """Test accuracy over the radius, of one arm on one setting.

    Attributes:
        rho: radii, ascending.
        test: over the seeds, at each.
    """

    setting: str
    arm: str
    title: str
    rho: tuple[float, ...]
    test: tuple[MeanStd, ...]

    @property
    def range(self) -> float:
        """Best minus worst mean over the radii."""
        means = [found.mean for found in self.test]
        return max(means) - min(means)


def settings_of(rows: Sequence[Row], phase: str = "final") -> list[str]:
    """The settings that have rows of a phase, in the protocol's order."""
    return [name for name in TASKS if any((r.setting, r.phase) == (name, phase) for r in rows)]


def results(rows: Sequence[Row], setting: str) -> list[Result]:
    """The final table of one setting, in the protocol's order of arms."""
    return [_result(arm, found) for arm in ARMS if (found := _finals(rows, setting, arm))]


def difference(rows: Sequence[Row], setting: str, arm: str, baseline: str) -> Interval | None:
    """An arm's test accuracy minus another's, seed by seed; None without a common seed."""
    ours = {row.seed: accuracy(row) for row in _finals(rows, setting, arm)}
    theirs = {row.seed: accuracy(row) for row in _finals(rows, setting, baseline)}
    pairs = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    return t_interval(pairs) if pairs else None


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """The target on every setting that has the arms for it."""
    found = []
    for setting in settings_of(rows):
        tuned = difference(rows, setting, "samar", "sam")
        default = difference(rows, setting, "samar", "sam_default")
        if tuned and default:
            found.append(Verdict(setting, tuned, default))
    return found


def curves(rows: Sequence[Row], setting: str) -> list[Curve]:
    """Test accuracy over ρ of each arm of the curve phase."""
    found = []
    for arm, title in CURVE_ARMS.items():
        mine = [r for r in rows if (r.setting, r.phase, r.arm) == (setting, "curve", arm)]
        radii = sorted({row.rho for row in mine})
        test = [mean_std(accuracy(row) for row in mine if row.rho == rho) for rho in radii]
        if test:
            found.append(Curve(setting, arm, title, tuple(radii), tuple(test)))
    return found


def explored(rows: Sequence[Row]) -> list[dict[str, str]]:
    """What was tried before the defaults were set, a line a run, best validation first."""
    found = [row for row in rows if row.phase == "explore"]
    order = list(TASKS)
    found.sort(key=lambda row: (order.index(row.setting), -row.val_accuracy))
    return [
        {
            "setting": TASKS[row.setting].title,
            "settings": words(row),
            "validation, %": f"{100 * row.val_accuracy:.1f}",
            "test, %": f"{100 * row.test_accuracy:.1f}",
            "mean λ": "" if math.isnan(row.lam_mean) else f"{row.lam_mean:.2f}",
        }
        for row in found
    ]


def accuracy(row: Row) -> float:
    """Test accuracy; a diverged run has learnt nothing."""
    return row.test_accuracy if row.status == "finished" else 0.0


def words(row: Row) -> str:
    """The settings of a run that have an effect, as words."""
    known = declared(TrainSettings)
    parts = [OPTIMIZERS[row.optimizer].title]
    parts += [RULES[row.rule].title] if row.rule else []
    parts += [
        known[name].brief(float(getattr(row, name)))
        for name in SETTINGS
        if not math.isnan(getattr(row, name)) and not (row.rule == "fixed" and name == "beta")
    ]
    return ", ".join(parts)


def _finals(rows: Sequence[Row], setting: str, arm: str) -> list[Row]:
    return [r for r in rows if (r.setting, r.phase, r.arm) == (setting, "final", arm)]


def _result(arm: str, rows: Sequence[Row]) -> Result:
    return Result(
        arm=arm,
        title=ARMS[arm].title,
        seeds=len(rows),
        diverged=sum(row.status == "diverged" for row in rows),
        test=mean_std(map(accuracy, rows)),
        train=_mean([row.train_accuracy for row in rows]),
        gap=_mean([row.gap for row in rows]),
        lam_mean=_mean([row.lam_mean for row in rows]),
        lambda_max=_mean([row.lambda_max for row in rows]),
        trace=_mean([row.trace for row in rows]),
        grad_evals=fmean(row.grad_evals for row in rows),
        seconds=fmean(row.seconds for row in rows),
        chosen=words(rows[0]),
    )


def _mean(values: Sequence[float]) -> float:
    """Mean of the values that were measured."""
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else NAN
