"""From a model and a wish to a landscape, level by level.

:class:`Sampler` is what browser and command line drive. :func:`line` and :func:`plane` are for code
that has a live model and fixed directions, such as a probe during training.
"""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from samar.data.dataset import Dataset
from samar.data.evaluation import evaluate
from samar.data.objective import Objective
from samar.data.sample import Sample
from samar.device.placement import provenance
from samar.device.randomness import kept_random_state
from samar.errors import ConfigError
from samar.landscapes.adaptive.refinement import Refinement
from samar.landscapes.catalog import LEVELS
from samar.landscapes.evaluator import Evaluator, Value
from samar.landscapes.frame import (
    Frame,
    State,
    frame_between,
    given_frame,
    random_frame,
    require_alike,
)
from samar.landscapes.grid import Grid, Index, Span
from samar.landscapes.result import Ball, Landscape, Trail
from samar.landscapes.settings import LandscapeSettings
from samar.landscapes.trajectory import pca_frame, trail
from samar.models.guard import undisturbed
from samar.version import __version__

Progress = Callable[[int, int], None]
BALL_POINTS = 32
STEADY_CHUNK = 128
"""Images a forward pass where the last bits of a loss count, since points are chosen by what was
measured: one that was timed may differ from run to run."""


class Sampler:
    """A line or a plane being measured; every level that is complete can be taken out.

    Args:
        frame: where it lies.
        evaluator: what measures its points.
        grid: how far and how fine; may be partly done already.
        facts: further entries of the manifest.
        trail: networks to show on it.
        rho: radius of the ball whose edge is measured too; 0 for none.
        tolerance: largest error of the loss between the points of a plane that are chosen by
            :mod:`samar.landscapes.adaptive.refinement`; None measures every point of the grid.

    Raises:
        ConfigError: an axis is all zeros, or the axes are parallel.
        ValueError: the arguments do not go together.

    Attributes:
        refinement: chooses the points of an adaptive plane; None where every point is measured.
        seconds: spent on measuring points.
    """

    def __init__(
        self,
        frame: Frame,
        evaluator: Evaluator,
        grid: Grid,
        *,
        facts: Mapping[str, Any] | None = None,
        trail: Trail | None = None,
        rho: float = 0.0,
        tolerance: float | None = None,
    ) -> None:
        if len(frame.axes) != len(grid.axes):
            raise ValueError(
                f"grid must have as many axes as the frame, got {len(grid.axes)} and "
                f"{len(frame.axes)}; give one span per direction."
            )
        frame.require_spanning()
        self.frame, self.evaluator, self.grid = frame, evaluator, grid
        self.trail, self.rho, self.ball = trail, rho, None  # type: Trail | None, float, Ball | None
        self.seconds = 0.0
        self._origin: Value | None = None
        self._facts = frame.describe() | dict(facts or {})
        self.refinement: Refinement | None = None
        if tolerance is not None:
            if len(grid.axes) != 2:
                raise ValueError("tolerance goes with a plane, got a line; leave it out.")
            self.refinement = Refinement(grid.points, tolerance)

    def levels(
        self, *, progress: Progress | None = None, budget: float | None = None
    ) -> Iterator[Landscape]:
        """Measure what is missing and yield each level, or each batch, as it is complete.

        Stop whenever you like: what is measured stays measured. The model is not touched and the
        random state is that of before at every yield, also after an exception.

        Args:
            progress: called with points measured so far and points of the whole grid.
            budget: seconds; a level after the first is not begun if it would exceed them.
        """
        started, measured = time.perf_counter(), 0
        for level, todo in self._parts():
            if budget is not None and measured:
                per_point = (time.perf_counter() - started) / measured
                if (measured + len(todo)) * per_point > budget:
                    return
            self._measure(todo, progress)
            measured += len(todo)
            if self.refinement is not None:
                self.refinement.observe(self.grid.loss)
                if not todo and not self.refinement.finished:
                    continue  # an earlier process showed this batch
            yield self.at_level(level)

    def _parts(self) -> Iterator[tuple[int, list[Index]]]:
        """The level that each picture shows, and the points that it still needs."""
        if self.refinement is None:
            for level in self.grid.levels:
                yield level, self.grid.pending(level)
            return
        while batch := self.refinement.batch():
            yield self.grid.points, [index for index in batch if not self.grid.done[index]]

    def _measure(self, todo: Sequence[Index], progress: Progress | None) -> None:
        for index in todo:
            started = time.perf_counter()
            with kept_random_state(self.frame.origin[0].device):
                self.grid.put(index, *self._at(self.grid.coordinates(index)))
            self.seconds += time.perf_counter() - started
            if progress is not None:
                progress(int(self.grid.done.sum()), self.grid.done.size)
        if self.rho and self.ball is None:
            edge = self.frame.ball(self.rho, BALL_POINTS)
            losses = [self.evaluator.at(self.frame.at(point)).loss for point in edge.tolist()]
            self.ball = Ball(self.rho, edge, np.array(losses))

    def _at(self, place: tuple[float, ...]) -> Value:
        """Measure at a place, after the origin, with which every other is compared."""
        if not self.evaluator.has_reference:
            self._origin = self.evaluator.refer_to(self.frame.at((0.0,) * len(place)))
        if self._origin is not None and not any(place):
            return self._origin
        return self.evaluator.at(self.frame.at(place))

    def at_level(self, level: int) -> Landscape:
        """The landscape at a level, complete or not, with its manifest."""
        manifest = (
            self._facts
            | {"dim": len(self.frame.axes), "points": level}
            | {"spans": [[float(axis[0]), float(axis[-1])] for axis in self.grid.axes]}
            | {
                "images": self.evaluator.images,
                "batchnorm": self.evaluator.batchnorm,
                "chunk": self.evaluator.chunk,
                "forwards": self.evaluator.forwards,
                "seconds": round(self.seconds, 4),
                "samar": __version__,
                "torch": torch.__version__,
                "python": platform.python_version(),
            }
            | provenance(self.frame.origin[0].device, self.evaluator.precision)
        )
        found = Landscape.of(self.grid, level, manifest, self.trail, self.ball)
        return found if self.refinement is None else self.refinement.completed(found)


def sampler_of(
    config: LandscapeSettings,
    model: nn.Module,
    dataset: Dataset,
    *,
    others: Sequence[tuple[str, State]] = (),
    path: Sequence[tuple[str, State]] = (),
    frame: Frame | None = None,
    facts: Mapping[str, Any] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Sampler:
    """Prepare a picture: directions, images, spans and the networks to show.

    Args:
        others: further networks by name: the ends of ``between``, the snapshots of ``pca`` in
            order, without the model itself, which is the last.
        path: snapshots that are shown on the picture, in order, and take no part in its making.
        frame: directions that were found elsewhere, such as eigenvectors.
        check: called before every batch, then and later; may raise to cancel.

    Raises:
        ConfigError: the further networks do not go with the directions, or have other layers.
    """
    config.require_others(len(others))
    for _, state in others:
        require_alike(model.state_dict(), state)
    evaluator = _evaluator(config, model, dataset, check)
    if frame is None:
        frame = _frame(config, model, [state for _, state in others])
    shown = [*path, *others, ("this network", model.state_dict())]
    track = trail(frame, evaluator, model, shown) if path or others else None
    grid = Grid(_spans(config, track), config.points)
    return Sampler(
        frame,
        evaluator,
        grid,
        facts=_facts(config, model, dataset, facts, evaluator.note, check),
        trail=track,
        rho=config.rho,
        tolerance=config.allowed_error,
    )


def _evaluator(
    config: LandscapeSettings, model: nn.Module, dataset: Dataset, check: Callable[[], None]
) -> Evaluator:
    images = getattr(dataset, config.split)
    return Evaluator(
        model,
        Sample.of(images, dataset.normalization, config.images),
        batchnorm="fixed" if config.fixes_batchnorm else "recalibrate",
        calibration=Sample.of(dataset.train, dataset.normalization, config.images),
        precision=config.precision,
        chunk=STEADY_CHUNK if config.allowed_error is not None else None,
        check=check,
    )


def _facts(
    config: LandscapeSettings,
    model: nn.Module,
    dataset: Dataset,
    facts: Mapping[str, Any] | None,
    note: str,
    check: Callable[[], None],
) -> dict[str, Any]:
    """What a manifest says of the images and of the network's own loss on them."""
    chosen = getattr(dataset, config.split).evenly_spaced(config.images)
    with undisturbed(model):
        own = evaluate(model, chosen, dataset.normalization, progress=lambda *_: check())
    known = dict(facts or {}) | {"split": config.split, "data_checksum": dataset.checksum}
    notes = [each for each in (known.get("note"), note) if each]
    return known | {"model_loss": own.loss} | ({"note": " ".join(notes)} if notes else {})


def _frame(config: LandscapeSettings, model: nn.Module, others: Sequence[State]) -> Frame:
    try:
        if config.directions == "between":
            return frame_between(model, *others)
        if config.directions == "pca":
            return pca_frame(model, others, dim=config.dim)
        return random_frame(model, dim=config.dim, kind=config.directions, seed=config.seed)
    except ValueError as error:
        raise ConfigError(f"These networks cannot be joined: {error}") from None


def line(
    model: nn.Module,
    sample: Objective,
    direction: Sequence[Tensor],
    *,
    points: int = 17,
    span: Span = (-1.0, 1.0),
    chunk: int | None = None,
    budget: float | None = None,
    check: Callable[[], None] = lambda: None,
) -> Landscape:
    """The loss along one fixed direction of a live model, which is left as it is.

    Args:
        direction: one tensor per parameter.
        points: 5, 9, 17, 33 or 65.
        span: (low, high) in units of the direction.
        chunk: images per forward, such as an earlier result's ``manifest["chunk"]``; measured,
            which costs about two forwards, if None.
        budget: seconds, see :meth:`Sampler.levels`.
        check: called before every batch; may raise to cancel.

    Raises:
        ValueError: the number of points is another, the span is empty or not finite, or the
            direction does not fit the model.
    """
    return _quick(model, sample, [direction], [span], points, chunk, budget, check)


def plane(
    model: nn.Module,
    sample: Objective,
    directions: Sequence[Sequence[Tensor]],
    *,
    points: int = 9,
    span: Span = (-1.0, 1.0),
    chunk: int | None = None,
    budget: float | None = None,
    tolerance: float | None = None,
    check: Callable[[], None] = lambda: None,
) -> Landscape:
    """The loss over two fixed directions; see :func:`line`.

    Args:
        points: along each axis: 5, 9, 17, 33 or 65.
        tolerance: measure only where the surface between the points needs it, until its error is
            estimated to be at most this; see :mod:`samar.landscapes.adaptive.refinement`.

    Raises:
        ValueError: as for :func:`line`.
    """
    return _quick(model, sample, directions, [span, span], points, chunk, budget, check, tolerance)


def _quick(
    model: nn.Module,
    sample: Objective,
    directions: Sequence[Sequence[Tensor]],
    spans: Sequence[Span],
    points: int,
    chunk: int | None,
    budget: float | None,
    check: Callable[[], None],
    tolerance: float | None = None,
) -> Landscape:
    labels = [f"direction {i + 1}" for i in range(len(directions))]
    frame = given_frame(model, directions, labels)
    if tolerance is not None and chunk is None:
        chunk = STEADY_CHUNK
    evaluator = Evaluator(model, sample, chunk=chunk, check=check)
    sampler = Sampler(frame, evaluator, Grid(spans, points), tolerance=tolerance)
    return list(sampler.levels(budget=budget))[-1]


def _spans(config: LandscapeSettings, path: Trail | None) -> list[Span]:
    if config.directions == "between":
        return [(0.5 - config.reach, 0.5 + config.reach)] * config.dim
    if config.directions == "pca" and path is not None:
        low, high = path.coordinates.min(axis=0), path.coordinates.max(axis=0)
        margin = config.reach / 4 * (high - low)
        return [_around_zero(a, b) for a, b in zip(low - margin, high + margin, strict=True)]
    return [(-config.reach, config.reach)] * config.dim


def _around_zero(low: float, high: float) -> Span:
    """The shortest span that holds low ≤ 0 ≤ high and has a point of the coarsest grid at 0."""
    cells = LEVELS[0] - 1
    inner = range(1, cells)
    step, before = min((max(-low / k, high / (cells - k)), k) for k in inner)
    return -step * before, step * (cells - before)
