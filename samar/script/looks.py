"""Landscape and eigenvalues of a watched network, within a share of the time."""

import time
from typing import Protocol

import torch
from torch import nn

from samar.curvature.product import batch_size_on
from samar.data.objective import Objective
from samar.device.waiting import on_host
from samar.models.guard import undisturbed
from samar.training.measurements import (
    USUAL,
    CurvatureMeasurement,
    Effort,
    LandscapeMeasurement,
    Measurement,
    Notebook,
)

FIRST = Effort(USUAL.curvature_images, 12, 6, USUAL.landscape_images, 5, 5)
"""The first look, which is soon there."""
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
    def lr(self) -> float:
        """Learning rate η of the newest step."""

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
        self._forward = self._seconds_of_forward()
        self._measurements: list[Measurement] = [
            kind(loop, 1, share / 2, loop.go_on)
            for kind in (LandscapeMeasurement, CurvatureMeasurement)
        ]
        self._next = 0.0

    def _seconds_of_forward(self) -> float:
        """For one example."""
        times = []
        with undisturbed(self.model), torch.no_grad():
            for _ in range(2):  # the first is slower
                started = time.perf_counter()
                on_host(self._objective.loss(self.model))
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
    def lr(self) -> float:
        """Learning rate η of the newest step."""
        return self._loop.lr

    @property
    def examples(self) -> float:
        """Gradients of single examples that the time so far amounts to.

        Counted as if there were as many as a usual measurement takes.
        """
        gradients = self.seconds / max(GRADIENT_FORWARDS * self._forward, 1e-9)
        return gradients * USUAL.landscape_images / len(self._objective)

    @property
    def piece(self) -> int:
        """Examples of a pass."""
        return batch_size_on(self._objective.device)

    def sample(self, images: int) -> Objective:
        """The examples that were given, all of them."""
        return self._objective

    def perhaps(self) -> None:
        """Look, if there is time for it."""
        if self.seconds < self._next:
            return
        due = [each for each in self._measurements if each.affordable(self)]
        for each in due:
            self._take(each, USUAL if each.taken else FIRST)
        if due:
            pause = max(LOOK_SECONDS, LOOK_SHARE * self.seconds)
            self._next = self.seconds + pause

    def now(self) -> None:
        """Look at once, because somebody asked for it."""
        for each in self._measurements:
            self._take(each, USUAL)

    def last(self) -> None:
        """Look at the end of the training, quickly if there is no time for more."""
        for each in self._measurements:
            if each.affordable(self):
                each.now(self, USUAL)
            elif not each.taken or each.expected(self) < LAST_SECONDS:
                each.now(self, FIRST)

    def _take(self, measurement: Measurement, effort: Effort) -> None:
        self._loop.busy(True)
        measurement.take(self, effort)
        self._loop.busy(False)
