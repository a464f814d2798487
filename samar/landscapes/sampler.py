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
from samar.data.objective import Objective
from samar.data.sample import Sample
from samar.device.placement import provenance
from samar.device.randomness import kept_random_state
from samar.device.waiting import on_host
from samar.errors import ConfigError
from samar.landscapes.adaptive import Refinement
from samar.landscapes.evaluator import Evaluator, Value
from samar.landscapes.frame import (
    EIGENVECTOR_IMAGES,
    Frame,
    State,
    eigenvector_frame,
    frame_between,
    given_frame,
    parameters_in,
    pca_frame,
    random_frame,
    require_alike,
)
from samar.landscapes.grid import Grid, Index, Span
from samar.landscapes.result import Ball, Landscape, Trail
from samar.landscapes.settings import LEVELS, LandscapeSettings
from samar.models.guard import undisturbed
from samar.version import __version__

Progress = Callable[[int, int], None]
BALL_POINTS = 32
AT_ONCE = 128
"""Examples a forward pass in which the network's own loss is taken."""
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
            :mod:`samar.landscapes.adaptive`; None measures every point of the grid.

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

    def levels(self, *, progress: Progress | None = None) -> Iterator[Landscape]:
        """Measure what is missing and yield each level, or each batch, as it is complete.

        Stop whenever you like: what is measured stays measured. The model is not touched and the
        random state is that of before at every yield, also after an exception.

        Args:
            progress: called with points measured so far and points of the whole grid.
        """
        for level, todo in self._parts():
            self._measure(todo, progress)
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
    settings: LandscapeSettings, model: nn.Module, dataset: Dataset, **more: Any
) -> Sampler:
    """Prepare a landscape on images of a data set; see :func:`sampler_on` for what else it takes.

    BatchNorm's statistics, where they are estimated anew, come from training images.
    """
    images, normalization = getattr(dataset, settings.split), dataset.normalization
    few = min(settings.images, EIGENVECTOR_IMAGES)
    facts = more.pop("facts", None) or {}
    return sampler_on(
        settings,
        model,
        Sample.of(images, normalization, settings.images),
        calibration=Sample.of(dataset.train, normalization, settings.images),
        for_eigenvectors=Sample.of(images, normalization, few),
        facts=dict(facts) | {"split": settings.split, "data_checksum": dataset.checksum},
        **more,
    )


def sampler_on(
    settings: LandscapeSettings,
    model: nn.Module,
    sample: Objective,
    *,
    others: Sequence[tuple[str, State]] = (),
    path: Sequence[tuple[str, State]] = (),
    frame: Frame | None = None,
    calibration: Objective | None = None,
    for_eigenvectors: Objective | None = None,
    facts: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
    check: Callable[[], None] = lambda: None,
) -> Sampler:
    """Prepare a landscape: directions, evaluator, grid and the networks to show.

    Args:
        sample: the examples and their loss, the same at every point; takes the place of the
            settings' images and split.
        others: further networks by name: the ends of ``between``, the snapshots of ``pca`` in
            order, without the model itself, which is the last.
        path: snapshots that are shown on the landscape, in order, and take no part in its making.
        frame: directions that are known already, in place of those of the settings.
        calibration: examples for BatchNorm's statistics; those of the sample if None.
        for_eigenvectors: examples from which eigenvectors are taken; those of the sample if None.
        facts: further entries of the manifest.
        tell: told how the search for eigenvectors goes.
        check: called before every batch, then and later; may raise to cancel.

    Raises:
        ConfigError: the further networks do not go with the directions, or have other layers.
    """
    settings.require_others(len(others))
    for _, state in others:
        require_alike(model.state_dict(), state)
    with undisturbed(model), torch.no_grad():
        # Also lets what does not fit say so in its own words.
        total, _ = on_host(sample.measured(model, AT_ONCE, check)).tolist()
    if frame is None:
        ends = [state for _, state in others]
        frame = _frame(settings, model, ends, for_eigenvectors or sample, tell, check)
    evaluator = Evaluator(
        model,
        sample,
        batchnorm="fixed" if settings.fixes_batchnorm else "recalibrate",
        calibration=calibration,
        precision=settings.precision,
        chunk=None if settings.allowed_error is None else STEADY_CHUNK,
        check=check,
    )
    shown = [*path, *others, ("this network", model.state_dict())]
    trail = trail_of(frame, evaluator, model, shown) if path or others else None
    known = dict(facts or {}) | {"model_loss": total / len(sample)}
    if notes := [note for note in (known.get("note"), evaluator.note) if note]:
        known["note"] = " ".join(notes)
    return Sampler(
        frame,
        evaluator,
        Grid(_spans(settings, trail), settings.points),
        facts=known,
        trail=trail,
        rho=settings.rho,
        tolerance=settings.allowed_error,
    )


def trail_of(
    frame: Frame, evaluator: Evaluator, model: nn.Module, named: Sequence[tuple[str, State]]
) -> Trail:
    """Project networks onto a plane, and measure the loss of each as it is.

    A path that is drawn in a plane lies above or below it, so each network comes with its distance
    to the plane and its own loss, not that of the plane's point under it.
    """
    places = [frame.project(parameters_in(model, state)) for _, state in named]
    values = [evaluator.own(state) for _, state in named]
    return Trail(
        coordinates=np.array([coordinates for coordinates, _ in places]),
        off_plane=np.array([distance for _, distance in places]),
        loss=np.array([value.loss for value in values]),
        accuracy=np.array([value.accuracy for value in values]),
        names=tuple(name for name, _ in named),
    )


def _frame(
    settings: LandscapeSettings,
    model: nn.Module,
    others: Sequence[State],
    sample: Objective,
    tell: Callable[[str], None],
    check: Callable[[], None],
) -> Frame:
    kind, dim, seed = settings.directions, settings.dim, settings.seed
    if kind == "hessian":
        return eigenvector_frame(model, sample, dim=dim, seed=seed, tell=tell, on_batch=check)
    try:
        if kind == "between":
            return frame_between(model, *others)
        if kind == "pca":
            return pca_frame(model, others, dim=dim)
        return random_frame(model, dim=dim, kind=kind, seed=seed)
    except ValueError as error:
        raise ConfigError(f"These networks cannot be joined: {error}") from None


def _spans(settings: LandscapeSettings, path: Trail | None) -> list[Span]:
    if settings.directions == "between":
        return [(0.5 - settings.reach, 0.5 + settings.reach)] * settings.dim
    if settings.directions == "pca" and path is not None:
        low, high = path.coordinates.min(axis=0), path.coordinates.max(axis=0)
        margin = settings.reach / 4 * (high - low)
        return [_around_zero(a, b) for a, b in zip(low - margin, high + margin, strict=True)]
    return [(-settings.reach, settings.reach)] * settings.dim


def line(
    model: nn.Module,
    sample: Objective,
    direction: Sequence[Tensor],
    *,
    points: int = 17,
    span: Span = (-1.0, 1.0),
    chunk: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> Landscape:
    """The loss along one fixed direction of a live model, which is left as it is.

    Args:
        direction: one tensor per parameter.
        points: 5, 9, 17, 33 or 65.
        span: (low, high) in units of the direction.
        chunk: images per forward, such as an earlier result's ``manifest["chunk"]``; measured,
            which costs about two forwards, if None.
        check: called before every batch; may raise to cancel.

    Raises:
        ValueError: the number of points is another, the span is empty or not finite, or the
            direction does not fit the model.
    """
    frame = given_frame(model, [direction], ["direction 1"])
    evaluator = Evaluator(model, sample, chunk=chunk, check=check)
    return list(Sampler(frame, evaluator, Grid([span], points)).levels())[-1]


def plane(
    model: nn.Module,
    sample: Objective,
    directions: Sequence[Sequence[Tensor]],
    *,
    points: int = 9,
    span: Span = (-1.0, 1.0),
    chunk: int | None = None,
    tolerance: float | None = None,
    check: Callable[[], None] = lambda: None,
) -> Landscape:
    """The loss over two fixed directions; see :func:`line`.

    Args:
        points: along each axis: 5, 9, 17, 33 or 65.
        tolerance: measure only where the surface between the points needs it, until its error is
            estimated to be at most this; see :mod:`samar.landscapes.adaptive`.

    Raises:
        ValueError: as for :func:`line`.
    """
    frame = given_frame(model, directions, ["direction 1", "direction 2"])
    steady = chunk if tolerance is None else chunk or STEADY_CHUNK
    evaluator = Evaluator(model, sample, chunk=steady, check=check)
    sampler = Sampler(frame, evaluator, Grid([span, span], points), tolerance=tolerance)
    return list(sampler.levels())[-1]


def _around_zero(low: float, high: float) -> Span:
    """The shortest span that holds low ≤ 0 ≤ high and has a point of the coarsest grid at 0."""
    cells = LEVELS[0] - 1
    inner = range(1, cells)
    step, before = min((max(-low / k, high / (cells - k)), k) for k in inner)
    return -step * before, step * (cells - before)
