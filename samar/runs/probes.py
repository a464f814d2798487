"""Looks at a network between the epochs of its run: the top of the spectrum, and the landscape.

Probes measure on fixed, evenly spaced training images and leave the network bit for bit as it was,
so that a run with probes takes the same steps as one without. Each keeps to its share of the wall
time: a look is put off while it would cost more than that, going by what the last one cost, or
before the first by the number of gradients it amounts to.
"""

import time
from typing import Any

from torch import Tensor

from samar.curvature.eigenvalues import top_of
from samar.curvature.product import hessian_of
from samar.curvature.trace import hessian_trace
from samar.errors import ConfigError
from samar.geometry import Sample
from samar.landscape import line, plane, random_frame
from samar.runs.config import RunConfig
from samar.runs.paths import film_path
from samar.runs.series import RunSeries
from samar.runs.store import Run
from samar.training import Trainer

EIGENVALUES, TOLERANCE, MAX_PRODUCTS, USUAL_PRODUCTS, TRACE_PRODUCTS = 3, 1e-2, 40, 11, 9
CURVATURE_IMAGES, FILM_IMAGES = 128, 128
LINE_POINTS, PLANE_POINTS = 17, 9
# A Hessian-vector product costs about 3.2 gradients, a forward pass a third of one.
PRODUCT_GRADIENTS, FORWARD_GRADIENTS = 3.2, 1 / 3


class Probe:
    """One kind of look, with its own share of the wall time.

    Args:
        series, run: where a look is recorded, as an event with the seconds it took.
        every: epochs from one look to the next; 0 never looks.
        share: largest part of the run's wall time that looks may take.
        gradients: what a first look is expected to cost, in gradients of single images.
    """

    kind = "look"
    """Of the event that records a look."""

    def __init__(
        self, series: RunSeries, run: Run, every: int, share: float, gradients: float
    ) -> None:
        self._series, self._run = series, run
        self._every, self._share, self._gradients = every, share, gradients
        self._spent = self._cost = 0.0

    def after_epoch(self, trainer: Trainer, epoch: int) -> None:
        """Look, if it is time and there is time."""
        if not self._every or epoch % self._every or not self._affordable(trainer):
            return
        started = time.perf_counter()
        try:
            found = self.look(trainer)
        except ConfigError:
            return  # the loss is not finite here; the run itself will say so
        self._cost = time.perf_counter() - started
        self._spent += self._cost
        step, seconds = trainer.step_count, round(self._cost, 4)
        self._series.note(self._run.key, step, self.kind, seconds=seconds, **found)

    def look(self, trainer: Trainer) -> dict[str, Any]:
        """Measure, and return what the event shall say."""
        raise NotImplementedError

    def _affordable(self, trainer: Trainer) -> bool:
        images = max(trainer.grad_evals * trainer.config.batch_size, 1)
        cost = self._cost or self._gradients * trainer.seconds / images
        wall = trainer.seconds + self._spent + cost
        return self._spent + cost <= self._share * wall


class CurvatureProbe(Probe):
    """Top eigenvalues with residuals, and the trace, warm-started from the look before."""

    kind = "curvature"

    def __init__(self, series: RunSeries, run: Run, every: int, share: float) -> None:
        expected = (USUAL_PRODUCTS + TRACE_PRODUCTS) * PRODUCT_GRADIENTS * CURVATURE_IMAGES
        super().__init__(series, run, every, share, expected)
        self._vectors: Tensor | None = None

    def look(self, trainer: Trainer) -> dict[str, Any]:
        """Eigenvalues, residuals, trace."""
        sample = _sample(trainer, CURVATURE_IMAGES)
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


class FilmProbe(Probe):
    """A line and a plane along the same random directions each time, normalized to the filters."""

    kind = "film"

    def __init__(self, series: RunSeries, run: Run, every: int, share: float) -> None:
        points = LINE_POINTS + PLANE_POINTS**2
        super().__init__(series, run, every, share, points * FORWARD_GRADIENTS * FILM_IMAGES)
        self._chunk: int | None = None

    def look(self, trainer: Trainer) -> dict[str, Any]:
        """Record artifacts ``film_line`` and ``film_plane``."""
        sample = _sample(trainer, FILM_IMAGES)
        axes = random_frame(trainer.model, seed=trainer.config.seed).axes
        flat = plane(trainer.model, sample, axes, points=PLANE_POINTS, chunk=self._chunk)
        self._chunk = flat.manifest["chunk"]
        thin = line(trainer.model, sample, axes[0], points=LINE_POINTS, chunk=self._chunk)
        for kind, landscape in (("film_plane", flat), ("film_line", thin)):
            path = film_path(self._run.id, kind, trainer.step_count)
            path.parent.mkdir(parents=True, exist_ok=True)
            landscape.save(path)
            self._series.add_artifact(self._run.key, kind, trainer.step_count, path.name)
        return {"forwards": flat.manifest["forwards"] + thin.manifest["forwards"]}


def probes_of(config: RunConfig, series: RunSeries, run: Run) -> list[Probe]:
    """The probes that a config asks for; two share the time evenly."""
    kinds = [(CurvatureProbe, config.curvature_every), (FilmProbe, config.film_every)]
    wanted = [(kind, every) for kind, every in kinds if every]
    return [kind(series, run, every, config.probe_share / len(wanted)) for kind, every in wanted]


def _sample(trainer: Trainer, images: int) -> Sample:
    data = trainer.dataset
    return Sample.of(data.train, data.normalization, images)
