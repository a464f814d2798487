"""Measurements between the epochs of a run: the top of the spectrum, and the landscape.

They are taken on fixed, evenly spaced training images and leave the network bit for bit as it was,
so that a run with them takes the same steps as one without. Each keeps to its share of the wall
time: a measurement is put off while it would cost more than that, going by what the last one cost,
or before the first by the number of gradients it amounts to.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from samar.curvature.eigenvalues import top_of
from samar.curvature.product import hessian_of
from samar.curvature.trace import hessian_trace
from samar.data.sample import Sample
from samar.errors import ConfigError
from samar.landscape.frame import random_frame
from samar.landscape.sampler import line, plane
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

EIGENVALUES, TOLERANCE, MAX_PRODUCTS, USUAL_PRODUCTS, TRACE_PRODUCTS = 3, 1e-2, 40, 11, 9
CURVATURE_IMAGES, LANDSCAPE_IMAGES = 128, 128
LINE_POINTS, PLANE_POINTS = 17, 9
# A Hessian-vector product costs about 3.2 gradients, a forward pass a third of one.
PRODUCT_GRADIENTS, FORWARD_GRADIENTS = 3.2, 1 / 3


class Notebook(Protocol):
    """Where measurements are written down."""

    def note(self, step: int, kind: str, **detail: Any) -> None:
        """Record an event."""

    def keep(self, kind: str, step: int, landscape: Any) -> None:
        """Keep a landscape."""


class Measurement:
    """One kind of measurement, with its own share of the wall time.

    Args:
        book: where it is recorded, as an event with the seconds it took.
        every: epochs from one to the next; 0 never measures.
        share: largest part of the run's wall time that it may take.
        gradients: what a first one is expected to cost, in gradients of single images.
    """

    kind = "measurement"
    """Of the event that records it."""

    def __init__(self, book: Notebook, every: int, share: float, gradients: float) -> None:
        self._book = book
        self._every, self._share, self._gradients = every, share, gradients
        self._spent = self._cost = 0.0

    def after_epoch(self, trainer: Trainer, epoch: int) -> None:
        """Measure, if it is time and there is time."""
        if not self._every or epoch % self._every or not self._affordable(trainer):
            return
        started = time.perf_counter()
        try:
            found = self.measure(trainer)
        except ConfigError:
            return  # the loss is not finite here; the run itself will say so
        self._cost = time.perf_counter() - started
        self._spent += self._cost
        self._book.note(trainer.step_count, self.kind, seconds=round(self._cost, 4), **found)

    def measure(self, trainer: Trainer) -> dict[str, Any]:
        """Measure, and return what the event shall say."""
        raise NotImplementedError

    def _affordable(self, trainer: Trainer) -> bool:
        images = max(trainer.grad_evals * trainer.config.batch_size, 1)
        cost = self._cost or self._gradients * trainer.seconds / images
        wall = trainer.seconds + self._spent + cost
        return self._spent + cost <= self._share * wall


class CurvatureMeasurement(Measurement):
    """Top eigenvalues with residuals, and the trace, warm-started from the one before."""

    kind = "curvature"

    def __init__(self, book: Notebook, every: int, share: float) -> None:
        expected = (USUAL_PRODUCTS + TRACE_PRODUCTS) * PRODUCT_GRADIENTS * CURVATURE_IMAGES
        super().__init__(book, every, share, expected)
        self._vectors: Tensor | None = None

    def measure(self, trainer: Trainer) -> dict[str, Any]:
        """Eigenvalues, residuals, trace."""
        sample = sample_of(trainer, CURVATURE_IMAGES)
        with hessian_of(trainer.model, sample) as hessian:
            top = top_of(
                hessian,
                k=EIGENVALUES,
                tol=TOLERANCE,
                max_products=MAX_PRODUCTS,
                start=self._vectors,
            )
            trace = hessian_trace(hessian, products=TRACE_PRODUCTS).total
        self._vectors = top.vectors
        return {
            "values": top.values,
            "residuals": top.residuals,
            "converged": top.converged,
            "products": top.products + TRACE_PRODUCTS,
            "trace": trace.value,
            "trace_error": trace.error,
            "images": len(sample),
            "lr": trainer.optimizer.param_groups[0]["lr"],
        }


class LandscapeMeasurement(Measurement):
    """A line and a plane along the same random directions each time, normalized to the filters."""

    kind = "film"

    def __init__(self, book: Notebook, every: int, share: float) -> None:
        points = LINE_POINTS + PLANE_POINTS**2
        super().__init__(book, every, share, points * FORWARD_GRADIENTS * LANDSCAPE_IMAGES)
        self._chunk: int | None = None

    def measure(self, trainer: Trainer) -> dict[str, Any]:
        """Keep ``film_line`` and ``film_plane``."""
        sample = sample_of(trainer, LANDSCAPE_IMAGES)
        axes = random_frame(trainer.model, seed=trainer.config.seed).axes
        flat = plane(trainer.model, sample, axes, points=PLANE_POINTS, chunk=self._chunk)
        self._chunk = flat.manifest["chunk"]
        thin = line(trainer.model, sample, axes[0], points=LINE_POINTS, chunk=self._chunk)
        for kind, landscape in (("film_plane", flat), ("film_line", thin)):
            self._book.keep(kind, trainer.step_count, landscape)
        return {"forwards": flat.manifest["forwards"] + thin.manifest["forwards"]}


def measurements_of(settings: TrainSettings, book: Notebook) -> list[Measurement]:
    """The measurements that the settings ask for; two share the time evenly."""
    kinds: list[tuple[Callable[..., Measurement], int]] = [
        (CurvatureMeasurement, settings.curvature_every),
        (LandscapeMeasurement, settings.film_every),
    ]
    wanted = [(kind, every) for kind, every in kinds if every]
    return [kind(book, every, settings.probe_share / len(wanted)) for kind, every in wanted]


def sample_of(trainer: Trainer, images: int) -> Sample:
    """Evenly spaced training images."""
    data = trainer.dataset
    return Sample.of(data.train, data.normalization, images)
