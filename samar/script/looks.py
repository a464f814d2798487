"""Landscape and eigenvalues of a watched network, within a share of the time."""

import math
import time
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer

from samar.curvature.product import batch_size_on
from samar.data.dataset import evenly_spaced
from samar.data.objective import Objective
from samar.data.sample import Sample
from samar.device.waiting import on_host
from samar.jobs.summary import duration
from samar.models.guard import kept_randomness, undisturbed
from samar.training.measurements import (
    USUAL,
    CurvatureMeasurement,
    Effort,
    LandscapeMeasurement,
    Measurement,
    Notebook,
    earned_after,
)

FIRST_IMAGES = 32
"""Of a sample that can be cut the first look takes so many, evenly spaced."""
LOOK_SECONDS, LOOK_SHARE = 2.0, 0.02
"""From one look to the next at least so many seconds, and so large a share of the time so far: a
run of ten hours keeps some 400 landscapes."""
LAST_SECONDS = 60.0
"""A last look is taken even where there is no time for it, if it takes less than that."""
GRADIENT_FORWARDS = 3
"""A gradient takes about as long as so many forward passes."""


class Watched(Notebook, Protocol):
    """The loop that is looked at, and where looks are written down."""

    @property
    def taken(self) -> int:
        """Steps taken so far."""

    @property
    def seconds(self) -> float:
        """Time so far, without looks and pauses."""

    @property
    def plain_lr(self) -> float | None:
        """Learning rate η of the newest step of SGD; None of another base optimizer."""

    @property
    def optimizer(self) -> Optimizer:
        """What takes its steps."""

    def go_on(self) -> bool:
        """Whether a look may go on."""

    def busy(self, looking: bool) -> None:
        """Say that a look is taken now, or no longer."""


class Looks:
    """What is measured of one network now and then.

    To its measurements it is the training run, a
    :class:`samar.training.measurements.Subject`.
    """

    direction_seed = 0

    def __init__(
        self, loop: Watched, network: nn.Module, objective: Objective, share: float
    ) -> None:
        self.model, self._loop, self._objective = network, loop, objective
        whole = len(objective)
        few = min(FIRST_IMAGES, whole) if isinstance(objective, Sample) else whole
        self._first = Effort(few, 12, 6, few, 5, 5)
        self._usual = replace(USUAL, curvature_images=whole, landscape_images=whole)
        self._measurements: list[Measurement] = [
            kind(loop, 1, share / 2, loop.go_on)
            for kind in (LandscapeMeasurement, CurvatureMeasurement)
        ]
        pace = GRADIENT_FORWARDS * self._seconds_of_forward()
        self._paces = dict.fromkeys(self._measurements, pace)
        self._next = 0.0

    def _seconds_of_forward(self) -> float:
        """For one example."""
        times = []
        with undisturbed(self.model), torch.no_grad():
            for _ in range(2):  # the first is slower
                started = time.perf_counter()
                on_host(self._objective.measured(self.model, self.piece))
                times.append(time.perf_counter() - started)
        return min(times) / len(self._objective)

    @property
    def step_count(self) -> int:
        """Steps taken so far."""
        return self._loop.taken

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return self._loop.seconds

    @property
    def lr(self) -> float | None:
        """Learning rate η of the newest step, where it says which curvature is too much."""
        return self._loop.plain_lr

    @property
    def optimizer(self) -> Optimizer:
        """What takes the steps."""
        return self._loop.optimizer

    @property
    def piece(self) -> int:
        """Examples of a pass."""
        return batch_size_on(self._objective.device)

    def sample(self, images: int) -> Objective:
        """The examples that were given; evenly spaced ones, where there are more than needed."""
        given = self._objective
        if not isinstance(given, Sample) or images >= len(given):
            return given
        chosen = evenly_spaced(images, len(given)).to(given.device)
        return Sample(given.x[chosen], given.y[chosen])

    def outlook(self) -> dict[str, dict[str, Any]]:
        """By kind of measurement, why there is none yet."""
        found = self._measurements
        return {each.kind: {"next_epoch": None, "reason": self._why(each)} for each in found}

    def _why(self, measurement: Measurement) -> str:
        if measurement.taken or measurement.problem:
            return measurement.problem
        cost, share = self._cost(measurement, self._first), measurement.share
        wait = earned_after(cost, share)
        if not math.isfinite(wait):
            return "Switched off: looks is 0. Measure now takes one."
        return (
            f"Comes after {duration(math.ceil(wait))} of training: it takes {duration(cost)}, and "
            f"looks may take {2 * share:.0%} of the time. Measure now takes one at once."
        ).replace("%", " %")

    def _cost(self, measurement: Measurement, effort: Effort) -> float:
        """Seconds that one is going to take."""
        return self._paces[measurement] * measurement.gradients(effort)

    def _affords(self, measurement: Measurement, effort: Effort) -> bool:
        """Whether one keeps to its share of the time."""
        return measurement.affords(self._cost(measurement, effort), self.seconds)

    def perhaps(self) -> None:
        """Look, if there is time for it."""
        if self.seconds < self._next:
            return
        wanted = [(m, self._usual if m.taken else self._first) for m in self._measurements]
        due = [(m, effort) for m, effort in wanted if self._affords(m, effort)]
        for measurement, effort in due:
            self._take(measurement, effort)
        if due:
            self._next = self.seconds + max(LOOK_SECONDS, LOOK_SHARE * self.seconds)

    def now(self) -> None:
        """Look at once, because somebody asked for it: quickly first."""
        for effort in dict.fromkeys((self._first, self._usual)):
            for each in self._measurements:
                self._take(each, effort)

    def last(self) -> None:
        """Look at the end of the training, quickly if there is no time for more."""
        for each in self._measurements:
            if each.last["step"] == self.step_count:
                continue
            if self._affords(each, self._usual):
                self._take(each, self._usual)
            elif not each.taken or self._cost(each, self._first) < LAST_SECONDS:
                self._take(each, self._first)

    def _take(self, measurement: Measurement, effort: Effort) -> None:
        before = measurement.spent
        self._loop.busy(True)
        with kept_randomness(self.model):  # copies of the network draw from them too
            measurement.take(self, effort)
        self._loop.busy(False)
        if measurement.last["step"] == self.step_count:
            seconds = measurement.spent - before
            self._paces[measurement] = seconds / measurement.gradients(effort)
