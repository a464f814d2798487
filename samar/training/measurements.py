"""Measurements of a run in progress: the top of the spectrum, and the landscape.

They are taken on fixed, evenly spaced training images and leave the network bit for bit as it was,
so that a run with them takes the same steps as one without. A first one is taken before the first
step and a last one after the last epoch, whatever the time limit; those between the epochs keep to
their share of the wall time: a measurement is put off while it would cost more than that, going by
what the last one cost, or before the first by the number of gradients it amounts to.

Before every few images it asks whether it may go on. Where it may not, because somebody pauses or
stops the run, it is given up, and comes at the next chance.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from samar.curvature.dynamics import dynamics_of, edge_of_stability
from samar.curvature.product import hessian_of
from samar.curvature.solvers.eigenvalues import top_of
from samar.curvature.solvers.trace import hessian_trace
from samar.data.objective import Objective
from samar.device.placement import is_gpu
from samar.device.waiting import on_host
from samar.errors import ConfigError
from samar.landscapes.frame import random_frame
from samar.landscapes.sampler import line, plane
from samar.optim.two_pass import TwoPassOptimizer
from samar.training.settings import TrainSettings
from samar.training.trainer import FEWEST_IMAGES, Trainer

EIGENVALUES, TOLERANCE, USUAL_PRODUCTS = 3, 1e-2, 11
CURVATURE_IMAGES, LANDSCAPE_IMAGES = 128, 128
# A Hessian-vector product costs about 3.2 gradients, a forward pass a third of one.
PRODUCT_GRADIENTS, FORWARD_GRADIENTS = 3.2, 1 / 3


# Multiply-accumulates of a forward pass of one image: from here on, and not on a GPU, a quick
# measurement takes a coarse plane.
LARGE_MACS = 5_000_000

PAUSED = "Put off: the run was paused. "

GoOn = Callable[[], bool]


def always() -> bool:
    """For a measurement that nobody interrupts."""
    return True


class GivenUp(Exception):
    """A measurement was not to go on."""


@dataclass(frozen=True)
class Effort:
    """How much work a measurement is.

    Attributes:
        curvature_images, landscape_images: images that the loss is the mean of.
        products: Hessian-vector products for the eigenvalues, at most.
        trace_products: and for the trace.
        plane_points, line_points: along an axis.
    """

    curvature_images: int
    products: int
    trace_products: int
    landscape_images: int
    plane_points: int
    line_points: int


USUAL = Effort(CURVATURE_IMAGES, 40, 9, LANDSCAPE_IMAGES, 9, 17)


def quick_effort(trainer: Trainer) -> Effort:
    """What takes a fraction of a second with a small network, and about two with a ResNet-20."""
    if is_gpu(trainer.placement.device):
        return USUAL
    if trainer.macs < LARGE_MACS:
        return Effort(32, 12, 6, 32, 9, 9)
    images = min(32, trainer.piece)
    return Effort(max(images // 2, FEWEST_IMAGES), 5, 6, images, 5, 5)


def together(plans: Sequence[Effort | None]) -> Effort | None:
    """What runs that are compared take at one moment: the same, or nothing."""
    taken = [plan for plan in plans if plan is not None]
    return min(taken, key=lambda plan: plan.landscape_images) if len(taken) == len(plans) else None


def efforts(trainer: Trainer) -> list[Effort]:
    """What to take one after the other when somebody waits for it."""
    quick = quick_effort(trainer)
    return [quick, USUAL] if quick.plane_points < USUAL.plane_points else [USUAL]


def earned_after(cost: float, share: float) -> float:
    """Seconds of training of which, with them, ``cost`` seconds of measurements are a share."""
    return cost * (1 / share - 1) if share else math.inf


def when_next(
    *,
    epoch: int,
    epochs: int,
    every: int,
    share: float,
    limit: float,
    seconds: float,
    spent: float,
    cost: float,
) -> tuple[int | None, str]:
    """The epoch after which a measurement is due, and why it is not taken sooner, if so.

    Args:
        epoch: passes over the data so far; no further ones where it is ``epochs``.
        every: epochs from one to the next; 0 for never.
        share: of the wall time that it may take; ``limit`` is what all together may.
        seconds: training time so far.
        spent: what it took so far.
        cost: what the next is expected to take.

    Returns:
        The epoch, None where there will be no further one, and one sentence or nothing.
    """
    if not every:
        return None, "Switched off in the settings."
    if epoch >= epochs:
        return None, "The run is over."
    planned = min((epoch // every + 1) * every, epochs)
    needed = earned_after(spent + cost, share)
    per_epoch = seconds / epoch if epoch else 0.0
    if not per_epoch or needed <= per_epoch * planned:
        return planned, ""
    affordable = math.ceil(min(needed / per_epoch, epochs) / every) * every
    return min(affordable, epochs), (
        f"Put off: measurements may take {limit:.0%}".replace("%", " %")
        + " of the time. Press Measure now to have one at once."
    )


class Subject(Protocol):
    """A training run as a measurement sees it."""

    @property
    def model(self) -> nn.Module:
        """The network; is left bit for bit as it was."""

    @property
    def step_count(self) -> int:
        """Steps taken so far."""

    @property
    def seconds(self) -> float:
        """Training time so far."""

    @property
    def lr(self) -> float | None:
        """Learning rate η of the newest step of plain gradient descent; None of another."""

    @property
    def optimizer(self) -> Optimizer:
        """What takes its steps."""

    @property
    def direction_seed(self) -> int:
        """Of the landscapes' random directions, the same throughout the run."""

    @property
    def piece(self) -> int:
        """Examples of which a derivative takes a fraction of a second."""

    def sample(self, images: int) -> Objective:
        """About so many fixed training examples, with their loss."""


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
        go_on: asked before every few images; a measurement that may not go on is given up.

    Attributes:
        share: see above.
        spent: seconds so far.
        last: step and seconds of the newest; None and 0 before the first.
        problem: why the newest could not be taken, in a sentence; empty if it could.
        vectors: what the next one may begin with, found by the last; None for nothing.
    """

    kind = "measurement"
    """Of the event that records it."""

    def __init__(
        self,
        book: Notebook,
        every: int,
        share: float,
        go_on: GoOn = always,
    ) -> None:
        self._book, self._go_on = book, go_on
        self._every, self.share = every, share
        self.spent = 0.0
        self._cost, self._usual_at = 0.0, -1  # of the last usual one, and its step
        self.last: dict[str, Any] = {"step": None, "seconds": 0.0}
        self._given_up = False  # the last one, which comes at the next chance
        self.problem = ""
        self.vectors: Tensor | None = None

    @property
    def taken(self) -> bool:
        """Whether there was one in this run."""
        return self.last["step"] is not None

    def recall(self, taken: Iterable[tuple[int, float]]) -> None:
        """Know of what was measured before the run was interrupted, as (step, seconds)."""
        for step, seconds in taken:
            self.spent += seconds
            self.last = {"step": step, "seconds": seconds}
            self._given_up = False

    def at_start(self, trainer: Trainer) -> None:
        """Measure quickly, before the first step, unless that was done."""
        if self._every and not self.taken:
            self.take(trainer, quick_effort(trainer))

    def planned(self, trainer: Trainer, epoch: int) -> Effort | None:
        """What to take after an epoch, if there is time; after the last one in any case."""
        last = trainer.step_count >= trainer.total_steps
        if not self._every or (epoch % self._every and not last and not self._given_up):
            return None
        if self.affordable(trainer):
            return USUAL
        return quick_effort(trainer) if last else None

    def now(self, trainer: Subject, effort: Effort) -> None:
        """Measure, whatever the settings say, unless that was done as well at this very step."""
        if self._usual_at != trainer.step_count:
            self.take(trainer, effort)

    def take(self, trainer: Subject, effort: Effort) -> None:
        """Measure, and record it with the seconds that it took, unless it is given up."""
        started = time.perf_counter()
        found, self.problem = None, ""
        try:
            self.check()
            found = self.measure(trainer, effort)
        except ConfigError as error:  # no finite loss, or no directions
            self.problem = str(error)
            self.spent += time.perf_counter() - started
            return
        except GivenUp:
            pass
        seconds = round(time.perf_counter() - started, 4)
        self.spent += seconds
        self._given_up = found is None
        if found is None:
            return
        if effort == USUAL:
            self._cost, self._usual_at = seconds, trainer.step_count
        self.last = {"step": trainer.step_count, "seconds": seconds}
        self._book.note(trainer.step_count, self.kind, seconds=seconds, **found)

    def check(self) -> None:
        """Call between two pieces of a measurement.

        Raises:
            GivenUp: it may not go on.
        """
        if not self._go_on():
            raise GivenUp

    def measure(self, trainer: Subject, effort: Effort) -> dict[str, Any]:
        """Measure, and return what the event shall say."""
        raise NotImplementedError

    def outlook(self, trainer: Trainer, over: bool = False) -> dict[str, Any]:
        """When the next is due, why it is not taken sooner, and when the newest was.

        Args:
            over: whether the run ends here.
        """
        epochs = trainer.config.epochs
        epoch, reason = when_next(
            epoch=epochs if over else trainer.step_count // trainer.steps_per_epoch,
            epochs=epochs,
            every=min(self._every, 1) if self._given_up else self._every,
            share=self.share,
            limit=trainer.config.probe_share,
            seconds=trainer.seconds,
            spent=self.spent,
            cost=self.expected(trainer),
        )
        if self._given_up and epoch is not None:
            if not self.taken:
                epoch, reason = None, PAUSED + "It comes when the run goes on."
            reason = reason or PAUSED + "Press Measure now to have one at once."
        return {"next_epoch": epoch, "reason": reason, **self.last}

    def expected(self, trainer: Trainer) -> float:
        """Seconds that a usual one is going to take."""
        return self._cost or self.gradients(USUAL) * trainer.seconds / max(trainer.examples, 1)

    @staticmethod
    def gradients(effort: Effort) -> float:
        """What one is expected to cost, in gradients of single images."""
        raise NotImplementedError

    def affordable(self, trainer: Trainer) -> bool:
        """Whether a usual one keeps to its share of the wall time."""
        return self.affords(self.expected(trainer), trainer.seconds)

    def affords(self, cost: float, seconds: float) -> bool:
        """Whether one that costs so much keeps to its share of the wall time.

        Args:
            seconds: training time so far.
        """
        wall = seconds + self.spent + cost
        return self.spent + cost <= self.share * wall


class CurvatureMeasurement(Measurement):
    """Top eigenvalues, trace, and how the steps meet them; warm-started from the one before."""

    kind = "curvature"

    @staticmethod
    def gradients(effort: Effort) -> float:
        """Of the products that the eigenvalues usually take, of the trace, along the gradient."""
        products = min(effort.products, USUAL_PRODUCTS) + effort.trace_products + 1
        return products * PRODUCT_GRADIENTS * effort.curvature_images

    def measure(self, trainer: Subject, effort: Effort) -> dict[str, Any]:
        """Eigenvalues, residuals, trace; the edge of stability, and the gradient against them."""
        sample = trainer.sample(effort.curvature_images)
        with hessian_of(
            trainer.model, sample, batch_size=trainer.piece, on_batch=self.check
        ) as hessian:
            top = top_of(
                hessian,
                k=min(EIGENVALUES, len(hessian)),
                tol=TOLERANCE,
                max_products=effort.products,
                start=self.vectors,
            )
            trace = hessian_trace(hessian, products=effort.trace_products).total
            rho = _radius(trainer.optimizer)
            found = dynamics_of(hessian, top.vectors, rho)
        self.vectors = top.vectors
        return {
            "values": top.values,
            "residuals": top.residuals,
            "converged": top.converged,
            "products": top.products + effort.trace_products + (found is not None),
            "trace": trace.value,
            "trace_error": trace.error,
            "images": len(sample),
            "lr": trainer.lr,
            "edge": _edge(trainer),
            **(asdict(found) if found else {}),
        }


def _radius(optimizer: Optimizer) -> float | None:
    """ρ of a perturbation along the gradient, if there is one."""
    return optimizer.ascent_radius if isinstance(optimizer, TwoPassOptimizer) else None


def _edge(trainer: Subject) -> float | None:
    """The curvature that the newest step tolerates; None where the theory does not say."""
    optimizer, lr = trainer.optimizer, trainer.lr
    if not lr:
        return None
    if not isinstance(optimizer, TwoPassOptimizer):
        return edge_of_stability(lr)
    policy, used = (
        optimizer.second_pass,
        on_host(getattr(optimizer, "lam_used", torch.ones(()))).item(),
    )
    held = getattr(optimizer, "held", None) is not None and policy.needs_lam
    lam = used if held else policy.mixed(used, optimizer.progress)
    if lam == 0:
        return edge_of_stability(lr)
    if lam is None or lam < 0 or (rho := _radius(optimizer)) is None:
        return None
    norm = on_host(optimizer.grad_norm).item()
    return edge_of_stability(lr, lam * rho, norm) if norm > 0 else None


class LandscapeMeasurement(Measurement):
    """A line and a plane along the same random directions each time, normalized to the filters."""

    kind = "film"

    def __init__(self, book: Notebook, every: int, share: float, go_on: GoOn = always) -> None:
        super().__init__(book, every, share, go_on)
        self._chunks: dict[int, int] = {}

    @staticmethod
    def gradients(effort: Effort) -> float:
        """Of a forward pass for every point."""
        points = effort.line_points + effort.plane_points**2
        return points * FORWARD_GRADIENTS * effort.landscape_images

    def measure(self, trainer: Subject, effort: Effort) -> dict[str, Any]:
        """Keep ``film_line`` and ``film_plane``."""
        sample = trainer.sample(effort.landscape_images)
        axes = random_frame(trainer.model, seed=trainer.direction_seed).axes
        chunk = self._chunks.get(len(sample))
        flat = plane(
            trainer.model,
            sample,
            axes,
            points=effort.plane_points,
            chunk=chunk,
            check=self.check,
        )
        chunk = self._chunks[len(sample)] = flat.manifest["chunk"]
        thin = line(
            trainer.model,
            sample,
            axes[0],
            points=effort.line_points,
            chunk=chunk,
            check=self.check,
        )
        for kind, landscape in (("film_plane", flat), ("film_line", thin)):
            self._book.keep(kind, trainer.step_count, landscape)
        forwards = flat.manifest["forwards"] + thin.manifest["forwards"]
        return {"forwards": forwards, "images": len(sample), "points": effort.plane_points}


def measurements_of(
    settings: TrainSettings, book: Notebook, go_on: GoOn = always
) -> list[Measurement]:
    """Both measurements, the quicker one first; those that the settings ask for share the time.

    Args:
        go_on: see :class:`Measurement`.
    """
    kinds: list[tuple[Callable[..., Measurement], int]] = [
        (LandscapeMeasurement, settings.film_every),
        (CurvatureMeasurement, settings.curvature_every),
    ]
    share = settings.probe_share / max(1, sum(every > 0 for _, every in kinds))
    return [kind(book, every, share, go_on) for kind, every in kinds]
