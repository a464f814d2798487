"""What a sweep showed: mean and deviation over seeds, the best by validation, paired differences.

Only runs that finished count, with the figures of their last epoch, and none is ranked by its best.
A run that was edited while it trained is not one of its settings, and does not count. Settings are
chosen by the held-out images alone; the test images are looked at afterwards. Differences
between two settings are taken seed by seed, because runs with one seed share initial weights and
data order, and come with Student's t interval for the mean of the differences.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from samar.jobs.job import Job
from samar.jobs.training_records import EpochRecord
from samar.sweeps.service import by_setting
from samar.sweeps.spec import SweepSpec
from samar.sweeps.statistics import NAN, Interval, MeanStd, mean_std, t_interval
from samar.sweeps.values import TASK, worded

MEASURES = {"val": "validation accuracy", "test": "test accuracy"}


@dataclass(frozen=True)
class SettingResult:
    """One setting over its seeds.

    Attributes:
        label: the setting in a few words.
        values: the varied settings; ``None`` for one that has no effect here.
        optimizer: key of the optimizer.
        arm: optimizer, and number of epochs where that is part of the comparison.
        task: the varied ones of :data:`samar.sweeps.values.TASK`, in words; empty if none varies.
        runs: its members, one per seed.
        val, test, train, gap: accuracies of the last epoch as fractions, and train minus test.
        peak: test accuracy of each run's best epoch, which published tables often hold; choosing an
            epoch by test images flatters, so nothing is ranked by it.
        grad_evals, seconds: means over the finished runs; NaN if there is none.
        epochs: passes over the training images that each run is to make.
        complete: whether every seed is there, finished, and was not edited.
    """

    label: str
    values: dict[str, Any]
    optimizer: str
    arm: str
    task: str
    runs: tuple[Job, ...]
    val: MeanStd
    test: MeanStd
    train: MeanStd
    gap: MeanStd
    peak: MeanStd
    grad_evals: float
    seconds: float
    epochs: int
    complete: bool

    def level(self, name: str) -> Any:
        """The value of a varied setting; of the optimizer, the arm."""
        return self.arm if name == "optimizer" else self.values[name]

    @property
    def edited(self) -> int:
        """How many of its runs were edited while they trained, and do not count."""
        return sum(run.edits > 0 for run in self.runs)

    def counts(self, status: str) -> int:
        """How many of its runs have a status."""
        return sum(run.status == status for run in self.runs)

    def row(self) -> dict[str, Any]:
        """One flat row for a table or a file; undefined numbers are ``None``."""
        figures = {
            f"{name}_{part}": getattr(getattr(self, name), part)
            for name in ("val", "test", "train", "gap", "peak")
            for part in ("mean", "std")
        }
        cost = {"grad_evals": self.grad_evals, "seconds": self.seconds}
        return {
            "setting": self.label,
            **self.values,
            "seeds": len(self.runs),
            "finished": self.test.n,
            "diverged": self.counts("diverged"),
            "edited": self.edited,
            **{n: None if math.isnan(v) else v for n, v in (figures | cost).items()},
            "epochs": self.epochs,
        }


@dataclass(frozen=True)
class Difference:
    """How much better a setting is than a reference, seed by seed.

    Attributes:
        values: by seed.
    """

    label: str
    optimizer: str
    values: dict[int, float]

    @property
    def interval(self) -> Interval:
        """Of the values' mean."""
        return t_interval(list(self.values.values()))


@dataclass(frozen=True)
class HeatMap:
    """A measure over two settings.

    Attributes:
        rows, columns: values of the two settings, in words.
        cells: the setting shown in each place, ``None`` where there is none.
    """

    x: str
    y: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[SettingResult | None, ...], ...]


def results(spec: SweepSpec, members: Iterable[Job]) -> list[SettingResult]:
    """Every setting over its seeds, in order of creation."""
    return [_result(spec, runs) for runs in by_setting(members).values()]


def _result(spec: SweepSpec, runs: Sequence[Job]) -> SettingResult:
    counted = list(_counted(runs))
    done = [last for _, last in counted]
    config = runs[0].settings
    longer = [worded("epochs", config.epochs)] if spec.equal_gradients else []
    return SettingResult(
        label=spec.label(config),
        values=spec.values(config),
        optimizer=config.optimizer,
        arm=" · ".join([worded("optimizer", config.optimizer), *longer]),
        task=" · ".join(worded(n, getattr(config, n)) for n in TASK if n in spec.varied),
        runs=tuple(runs),
        val=mean_std(record.val_accuracy for record in done),
        test=mean_std(record.test_accuracy for record in done),
        train=mean_std(record.train_accuracy for record in done),
        gap=mean_std(record.gap for record in done),
        peak=mean_std(run.summary["peak"] for run, _ in counted if "peak" in run.summary),
        grad_evals=fmean(record.grad_evals for record in done) if done else NAN,
        seconds=fmean(record.seconds for record in done) if done else NAN,
        epochs=config.epochs,
        complete=len(done) == len(runs) >= spec.seeds,
    )


def _counted(runs: Iterable[Job]) -> Iterator[tuple[Job, EpochRecord]]:
    """The runs that finished and were not edited, with their last epochs."""
    for run in runs:
        if run.status == "finished" and not run.edits and run.last_epoch:
            yield run, run.last_epoch


def edited_sentence(found: Iterable[SettingResult]) -> str:
    """How many runs do not count because they were edited; empty where there is none."""
    count = sum(result.edited for result in found)
    if not count:
        return ""
    return f"{count} run{'s' * (count > 1)} edited while training, so not counted."


def best_by_validation(found: Iterable[SettingResult]) -> SettingResult | None:
    """The setting with the highest mean validation accuracy, of those whose every seed finished."""
    known = [r for r in found if r.complete and not math.isnan(r.val.mean)]
    return max(known, key=lambda r: r.val.mean, default=None)


def by_task(found: Iterable[SettingResult]) -> dict[str, list[SettingResult]]:
    """Settings grouped by what they learn with what, in order of first appearance."""
    tasks: dict[str, list[SettingResult]] = {}
    for result in found:
        tasks.setdefault(result.task, []).append(result)
    return tasks


def best_of_each_arm(found: Iterable[SettingResult]) -> list[SettingResult]:
    """The best setting of each optimizer, chosen by validation, of one task.

    Without held-out images nothing can be chosen: then an optimizer with one setting stands for
    itself, and one with several is left out.
    """
    arms: dict[str, list[SettingResult]] = {}
    for result in found:
        arms.setdefault(result.arm, []).append(result)
    best = (
        best_by_validation(arm) or (arm[0] if len(arm) == 1 and arm[0].complete else None)
        for arm in arms.values()
    )
    return [result for result in best if result is not None]


def paired_differences(
    found: Iterable[SettingResult], reference: SettingResult, measure: str = "test"
) -> list[Difference]:
    """Every other setting of the task against the reference, over the seeds that both finished.

    Args:
        measure: ``val`` or ``test``.
    """
    differences = []
    base = _by_seed(reference, measure)
    for result in found:
        own = _by_seed(result, measure)
        values = {seed: own[seed] - base[seed] for seed in sorted(own.keys() & base.keys())}
        if result is not reference and result.task == reference.task and values:
            differences.append(Difference(result.label, result.optimizer, values))
    return differences


def _by_seed(result: SettingResult, measure: str) -> dict[int, float]:
    name = f"{measure}_accuracy"
    return {run.settings.seed: getattr(last, name) for run, last in _counted(result.runs)}


def heat_map(found: Sequence[SettingResult], x: str, y: str) -> HeatMap:
    """Settings arranged by two of the varied ones; an optimizer's arms stand apart.

    A setting on which one of the two has no effect fills its whole row or column. Where several
    settings fall into one place, the best by validation is shown; without validation, none is.
    """
    columns, rows = levels(found, x), levels(found, y)
    cells = tuple(
        tuple(
            choose([r for r in found if r.level(x) in (c, None) and r.level(y) in (v, None)])
            for c in columns
        )
        for v in rows
    )
    words = [tuple(worded_level(n, v) for v in vs) for n, vs in ((y, rows), (x, columns))]
    return HeatMap(x, y, words[0], words[1], cells)


def choose(candidates: Iterable[SettingResult]) -> SettingResult | None:
    """The only candidate with results, or the best of several by validation, complete or not."""
    done = [r for r in candidates if r.test.n]
    if len(done) == 1:
        return done[0]
    known = [r for r in done if not math.isnan(r.val.mean)]
    return max(known, key=lambda r: r.val.mean, default=None)


def worded_level(name: str, value: Any) -> str:
    """A value as a tick of an axis."""
    if name == "optimizer":
        return str(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{value:g}" if number else worded(name, value)


def levels(found: Iterable[SettingResult], name: str) -> list[Any]:
    """The different values of a varied setting: numbers in order, others as they first appear."""
    seen = list(dict.fromkeys(r.level(name) for r in found if r.level(name) is not None))
    return sorted(seen) if all(isinstance(v, (int, float)) for v in seen) else seen


def curves(found: Sequence[SettingResult], name: str) -> dict[str, list[SettingResult]]:
    """For each arm, its settings in ascending order of a numeric setting.

    Where several settings share a value, the best by validation is taken. An arm on which the
    setting has no effect has one point, whose value is ``None``.
    """
    lines: dict[str, list[SettingResult]] = {}
    for arm in dict.fromkeys(r.arm for r in found):
        own = [r for r in found if r.arm == arm]
        places = levels(own, name) or [None]
        points = [choose([r for r in own if r.values[name] == place]) for place in places]
        if known := [point for point in points if point is not None]:
            lines[arm] = known
    return lines
