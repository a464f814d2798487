"""Who leads a race, by what, and at what cost: sentences from the members' evaluations.

The same race reads differently by steps, by gradients and by seconds, since SAM and its kin spend
up to two gradients a step where SGD spends one. Each reading compares all at the same place: the
last one that everybody has reached.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from samar.jobs.records import Columns

READINGS = {"step": "steps", "grad_evals": "gradients", "seconds": "seconds"}
OTHERS = {"grad_evals": "an equal number of gradients", "seconds": "an equal time"}
LEVEL = 0.0005
"""Accuracies that are nearer to each other are equal to a reader of one decimal."""


@dataclass(frozen=True)
class Standings:
    """Test accuracies at one place of the race.

    Attributes:
        by: key of :data:`READINGS`.
        at: the steps, gradients or seconds that all have behind them.
        accuracies: the newest that each had by then, the best first.
        gradients: those that each had spent by then.
    """

    by: str
    at: float
    accuracies: Mapping[str, float]
    gradients: Mapping[str, int]

    @property
    def leader(self) -> str:
        """Who has the best accuracy."""
        return next(iter(self.accuracies))

    @property
    def runner_up(self) -> str:
        """Who has the second best."""
        return list(self.accuracies)[1]

    @property
    def points(self) -> float:
        """The margin in percentage points, as the difference of the percentages that are shown."""
        best, second = list(self.accuracies.values())[:2]
        return round(100 * best, 1) - round(100 * second, 1)

    @property
    def level(self) -> list[str]:
        """Who is as accurate as the leader to a reader of one decimal, the leader included."""
        highest = self.accuracies[self.leader]
        return [
            name
            for name, each in self.accuracies.items()
            if highest - each < LEVEL or round(100 * highest, 1) == round(100 * each, 1)
        ]

    @property
    def place(self) -> str:
        """Where the members are compared."""
        if self.by == "seconds":
            return f"{self.at:,.{0 if self.at >= 10 else 1}f} s of training"
        return f"{self.at:,.0f} {READINGS[self.by]}"

    @property
    def sentence(self) -> str:
        """Who leads by how much, without a full stop."""
        return self.told()

    def told(self, before: "Standings | None" = None) -> str:
        """The sentence after that of another reading: whether the same one leads still."""
        best = f"{100 * self.accuracies[self.leader]:.1f} %"
        if len(level := self.level) > 1:
            names = f"{', '.join(level[:-1])} and {level[-1]}"
            return f"{names} are level at {best} after {self.place}"
        second = f"{100 * self.accuracies[self.runner_up]:.1f} %"
        still = "still " if before and before.level == [self.leader] else ""
        return (
            f"{self.leader} {still}leads by {self.points:.1f} points ({best} against "
            f"{self.runner_up}'s {second}) after {self.place}"
        )


def standings(
    epochs: Mapping[str, Columns], by: str = "step", diverged: Collection[str] = ()
) -> Standings | None:
    """Compare the members of a race where all have arrived.

    Args:
        epochs: columns of the evaluations of each member, by its title.
        by: what must be equal: "step", "grad_evals" or "seconds".
        diverged: members that are out of the race.

    Returns:
        The standings; None where fewer than two have been evaluated there.
    """
    racing = {n: c for n, c in epochs.items() if n not in diverged and len(c["step"])}
    if len(racing) < 2:
        return None
    at = float(min(columns[by][-1] for columns in racing.values()))
    accuracies: dict[str, float] = {}
    gradients: dict[str, int] = {}
    for name, columns in racing.items():
        passed = int(np.searchsorted(columns[by], at, side="right"))
        if passed and np.isfinite(columns["test_accuracy"][passed - 1]):
            accuracies[name] = float(columns["test_accuracy"][passed - 1])
            gradients[name] = int(columns["grad_evals"][passed - 1])
    if len(accuracies) < 2:
        return None
    order = sorted(accuracies, key=lambda name: -accuracies[name])
    return Standings(by, at, {name: accuracies[name] for name in order}, gradients)


def race_sentence(
    epochs: Mapping[str, Columns],
    diverged: Collection[str] = (),
    others: Collection[str] = tuple(OTHERS),
) -> str:
    r"""Who leads by what, what it cost, what changes at equal cost, and who diverged.

    Empty before there is anything to tell.

    Args:
        epochs: as for :func:`standings`.
        diverged: members that are out of the race.
        others: readings to tell beside that by steps, keys of :data:`OTHERS`.

    Example:
        >>> def run(gradients, *accuracies):
        ...     step = 100 * np.arange(1.0, 1 + len(accuracies))
        ...     return {"step": step, "grad_evals": gradients * step, "seconds": step / 10,
        ...             "test_accuracy": np.array(accuracies)}
        >>> told = race_sentence({"SGD": run(1, 0.8, 0.9), "SAM": run(2, 0.85, 0.95)})
        >>> print(told.replace(". ", ".\n").replace(", S", ",\nS"))
        SAM leads by 5.0 points (95.0 % against SGD's 90.0 %) after 200 steps.
        SAM spent 2 gradients a step where SGD spent 1.
        At an equal number of gradients,
        SGD leads by 5.0 points (90.0 % against SAM's 85.0 %) after 200 gradients.
        At an equal time,
        SAM still leads by 5.0 points (95.0 % against SGD's 90.0 %) after 20 s of training.
    """
    ended = [f"{name} diverged." for name in epochs if name in diverged]
    by_step = standings(epochs, "step", diverged)
    if by_step is None:
        return " ".join(ended)
    told = [f"{by_step.sentence}."]
    per_step = {name: spent / by_step.at for name, spent in by_step.gradients.items()}
    cheaper = [name for name, spent in per_step.items() if spent < 0.95 * per_step[by_step.leader]]
    if cheaper:
        first, *more = cheaper
        spent = [f"{first} spent {per_step[first]:.2g}"]
        spent += [f"{name} {per_step[name]:.2g}" for name in more]
        told.append(
            f"{by_step.leader} spent {per_step[by_step.leader]:.2g} gradients a step where "
            f"{' and '.join(spent)}."
        )
    if max(per_step.values()) > 1.05 * min(per_step.values()):
        for by in others:
            words, reading = OTHERS[by], standings(epochs, by, diverged)
            if reading is not None:
                told.append(f"At {words}, {reading.told(by_step)}.")
    return " ".join([*told, *ended])
