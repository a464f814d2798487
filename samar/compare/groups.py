"""The settings in which runs differ; runs that differ by their seed only, and their mean curve."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from samar.data.catalog import dataset_info
from samar.jobs.job import Job
from samar.optim.catalog import OPTIMIZERS
from samar.settings.declare import Setting, settings_of
from samar.sweeps.statistics import MeanStd, mean_std
from samar.training.settings import TrainSettings, changes_text

Floats = npt.NDArray[np.floating]
MOST_POINTS = 2000


NOT_USED = "not used"
"""Stands for a setting that the run's optimizer or λ rule does not have."""

OPEN = {"images_per_class": "all", "lam_held": "free"}
"""What it means that a setting is empty."""

KEEPING = ("run", "measurements")
"""Groups of settings that change no number of the training."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity of one run.

    Attributes:
        step: (n,) ascending.
        x: (n,) of the chosen horizontal axis.
        y: (n,) finite values.
    """

    step: Floats
    x: Floats
    y: Floats


@dataclass(frozen=True, eq=False)
class MeanCurve:
    """Mean and sample standard deviation of several curves at k shared steps.

    Attributes:
        x: (k,) mean position on the horizontal axis, ascending.
        mean: (k,) over the runs that reach a step.
        std: (k,) with the divisor n − 1; NaN where fewer than two runs are.
        n: (k,) how many runs reach a step.
    """

    x: Floats
    mean: Floats
    std: Floats
    n: npt.NDArray[np.integer]


@dataclass(frozen=True)
class Group:
    """Runs whose settings are the same but for the seed.

    Attributes:
        title: tells the group from the others of its set.
        runs: one per seed, in order of seed; where a seed was run twice the newest that finished,
            else the newest.
        repeats: ids of the others with a seed that one of these has.
    """

    title: str
    runs: tuple[Job, ...]
    repeats: tuple[str, ...] = ()

    @property
    def finished(self) -> tuple[Job, ...]:
        """The runs whose last epoch counts."""
        return tuple(run for run in self.runs if run.status == "finished")

    def over_seeds(self, names: Iterable[str]) -> dict[str, MeanStd]:
        """Mean and standard deviation of results of the last epoch, over the finished runs."""
        ends = [run.last_epoch for run in self.finished if run.last_epoch is not None]
        return {name: mean_std(getattr(end, name) for end in ends) for name in names}


def used(config: TrainSettings) -> dict[str, Any]:
    """The settings that decide a run's numbers."""
    return {
        name: getattr(config, name)
        for name, known in settings_of(TrainSettings).items()
        if known.group not in KEEPING and config.applies(name)
    }


def differences(configs: Sequence[TrainSettings]) -> dict[str, list[Any]]:
    """Settings that are not the same in all configs, each with one value per config.

    A config that does not use a setting has :data:`NOT_USED` there, which alone is no difference:
    that SGD has no radius follows from its name.
    """
    columns = [used(config) for config in configs]
    found = {}
    for name in settings_of(TrainSettings):
        values = [column.get(name, NOT_USED) for column in columns]
        if len({value for value in values if value != NOT_USED}) > 1:
            found[name] = values
    return found


def shown(value: Any, known: Setting | None = None) -> str:
    """A setting's value for people: a choice by its title, a folder by its last part."""
    if known is not None and known.choices is not None and value in known.choices:
        return known.choices[value]
    if known is not None and known.name == "dataset" and value not in (None, NOT_USED):
        return dataset_info(value).title
    if value is None:
        return OPEN.get(known.name, "none") if known is not None else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def group_by_seed(runs: Sequence[Job]) -> list[Group]:
    """Put runs together that differ by seed only, in order of appearance.

    Settings without effect under a run's optimizer, its name and how it is kept do not count. A run
    that was edited while it trained stays alone.
    """
    members: dict[Any, list[Job]] = {}
    for run in runs:
        values = used(run.settings)
        values.pop("seed")
        key = (tuple(values.items()), run.id if run.edits else "")
        members.setdefault(key, []).append(run)
    parts = []
    for together in members.values():
        best: dict[int, Job] = {}
        for run in sorted(together, key=lambda run: (run.status == "finished", run.key)):
            best[run.settings.seed] = run
        kept = tuple(best[seed] for seed in sorted(best))
        parts.append((kept, tuple(run.id for run in together if run not in kept)))
    titles = titles_of([kept for kept, _ in parts])
    return [Group(t, kept, out) for t, (kept, out) in zip(titles, parts, strict=True)]


def left_out(groups: Sequence[Group], runs: Sequence[Job]) -> str:
    """A sentence about the runs that stand in no mean; "" where there are none."""
    repeats = {run_id for group in groups for run_id in group.repeats}
    numbers = ", ".join(run.number for run in runs if run.id in repeats)
    why = "because another run has the same settings and the same seed"
    return numbers and f"Left out of the means, {why}: {numbers}."


def unfinished(groups: Sequence[Group]) -> str:
    """A sentence about the runs that have not finished, of groups of which others have."""
    numbers = ", ".join(
        run.number
        for group in groups
        if group.finished
        for run in group.runs
        if run not in group.finished
    )
    why = "because they have not finished"
    return numbers and f"Left out of the means over anything but steps, {why}: {numbers}."


def mean_curve(curves: Sequence[Curve], points: int = MOST_POINTS) -> MeanCurve:
    """Interpolate curves onto shared steps and take mean and standard deviation there.

    A curve takes part between its first and its last step, so runs of different length may be
    together: beyond the end of the shortest, ``n`` falls. On another axis than steps the
    mean ends there, because its position would leap to that of the runs that are left.

    Args:
        curves: of one quantity, each not empty.
        points: at most so many shared steps; all that occur if they are fewer.
    """
    steps = np.unique(np.concatenate([curve.step for curve in curves]))
    if len(steps) > points:
        steps = steps[np.unique(np.linspace(0, len(steps) - 1, points).astype(int))]
    x, y = (
        np.stack([np.interp(steps, c.step, getattr(c, axis), np.nan, np.nan) for c in curves])
        for axis in ("x", "y")
    )
    n = np.isfinite(y).sum(0)
    over_steps = all(np.array_equal(curve.x, curve.step) for curve in curves)
    kept = n >= (1 if over_steps else n.max())
    x, y, n = x[:, kept], y[:, kept], n[kept]
    mean = np.nanmean(y, 0)
    square = np.nansum((y - mean) ** 2, 0)
    std = np.sqrt(np.divide(square, n - 1, out=np.full_like(mean, np.nan), where=n > 1))
    return MeanCurve(np.maximum.accumulate(np.nanmean(x, 0)), mean, std, n)


def titles_of(groups: Sequence[Sequence[Job]]) -> list[str]:
    """Short names for groups of runs, never twice the same.

    The runs' own name, else the optimizer and the settings in which its groups differ; and the
    number of a run that stands alone.
    """
    known = settings_of(TrainSettings)
    firsts = [runs[0].settings for runs in groups]
    named = [
        bool(runs[0].settings.name) and len({r.settings.name for r in runs}) == 1 for runs in groups
    ]
    alike: dict[str, list[TrainSettings]] = {}
    for first, own in zip(firsts, named, strict=True):
        alike.setdefault(first.optimizer, []).extend([] if own else [first])
    differing = {optimizer: differences(configs) for optimizer, configs in alike.items()}
    titles = []
    for runs, first, own in zip(groups, firsts, named, strict=True):
        names = differing[first.optimizer]
        differ = [name for name in names if name != "seed" or len(runs) == 1]
        values = used(first)
        words = [_brief(known[name], values[name]) for name in differ if name in values]
        title = first.name if own else ", ".join([OPTIMIZERS[first.optimizer].title, *words])
        if len(runs) == 1:
            title = f"{title} · {runs[0].number}" if own else f"{runs[0].number} {title}"
            title += runs[0].badge
        else:
            title = f"{title} · {len(runs)} seeds"
        titles.append(title)
    return [
        title if titles.count(title) == 1 else f"{title} from {runs[0].number}"
        for title, runs in zip(titles, groups, strict=True)
    ]


def _brief(known: Setting, value: Any) -> str:
    if known.name == "dataset" or (value is None and known.name != "lam_held"):
        return f"{known.label} {shown(value, known)}"
    return changes_text({known.name: value})
