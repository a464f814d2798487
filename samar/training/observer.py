"""The observer of a training run: a process of its own that measures weights handed to it.

It says that it is ready, is handed the weights of one moment, measures a plane of the loss, the top
eigenvalues of the Hessian, and accuracy on a few images, sends the results back, and is ready
again. Training does not wait for it, unless its pace says so, and nothing that it does can change a
number of the training: it has a network of its own.

Planes are centred on the weights of their moment, in directions of one random draw for all moments
and all members of a race, normalized to the filters anew each time. Eigenvalues start from the
eigenvectors of the moment before and a random part; every tenth search starts afresh, because a
vector may stay the best guess after it stopped being the top.
"""

import math
import os
import queue
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import psutil
import torch
from torch import Tensor, nn

from samar.curvature.dynamics import dynamics_of
from samar.curvature.product import hessian_of
from samar.curvature.solvers.eigenvalues import top_of
from samar.curvature.solvers.trace import hessian_trace
from samar.data.objective import Objective
from samar.device.memory import is_out_of_memory, release
from samar.device.waiting import on_host
from samar.errors import ConfigError
from samar.jobs.records import CURVATURE, ESTIMATE, PLANE
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.frame import random_frame
from samar.landscapes.grid import Grid
from samar.landscapes.result import Landscape
from samar.landscapes.sampler import Sampler

SERVE = f"{__name__}:serve"
READY, REFINE, REFINED, LOSS, PROBLEM = "ready", "refine", "refined", "loss", "problem"
"""Messages: it is ready for the next weights; make what was measured last finer; that is done;
the loss of the first weights, or why they cannot be measured; a sentence about what went wrong."""
COLD_EVERY = 10
"""Of so many searches for eigenvalues one starts afresh; with it the trace and κ are taken."""
TOLERANCE = 0.02
"""Largest residual of the top eigenvalue, relative to it."""
FINEST, MOST_EIGENVALUES, FINE_TOLERANCE = 33, 5, 1e-2
"""What is measured at last while the weights stand still."""
SIGNIFICANT = 7
"""Digits of a plane's losses, as many as float32 has."""
PLANES_BETWEEN = 3.0
"""Where no core is free, planes are measured for so many times as long as the search for
eigenvalues before them took: they are cheaper, and come first."""
EXAMPLES = 128
"""Examples of a forward pass."""
STEPS_BACK = 8
"""In niceness, behind the training."""
RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class Effort:
    """How much is measured at one moment.

    Attributes:
        points: along an axis of the plane: 5, 9, 17 or 33.
        eigenvalues: how many are sought.
        products: Hessian-vector products for them, at most.
        trace_products: for the trace, now and then; 0 takes neither trace nor κ.
    """

    points: int = 9
    eigenvalues: int = 3
    products: int = 12
    trace_products: int = 6


@dataclass(frozen=True)
class Subject:
    """What is observed, as it is sent to the observer once.

    Attributes:
        parts: the network, the loss of its planes, that of its curvature, and training and test
            images for estimates of accuracy or None, made into bytes by :func:`packed`.
        device: where to measure.
        seed: of the planes' directions.
        effort: how much to measure.
        share: of one core, what the observer takes; all of it where one is free.
    """

    parts: bytes
    device: str
    seed: int = 0
    effort: Effort = Effort()
    share: float = 1.0


class Member(NamedTuple):
    """One network at one moment.

    Attributes:
        number: among those that are observed.
        weights: parameters and buffers, as :func:`values_of` gives them; None for those that the
            network has.
        rho: radius ρ of a perturbation along the gradient; None without one.
        facts: further entries of what is recorded of the curvature, such as η.
    """

    number: int
    weights: Sequence[Any] | None
    rho: float | None
    facts: dict[str, Any]


@dataclass(frozen=True)
class Moment:
    """The weights of all that is observed, after the same step."""

    step: int
    members: Sequence[Member]


@dataclass(frozen=True)
class Result:
    """What was measured of one member: a plane, its curvature or an estimate of its accuracy."""

    number: int
    step: int
    kind: str
    detail: dict[str, Any]


def packed(
    network: nn.Module,
    plane: Objective,
    curvature: Objective,
    train: Objective | None = None,
    test: Objective | None = None,
) -> bytes:
    """A network and the examples to measure it on, for :class:`Subject`.

    Raises:
        Exception: something of it cannot be pickled.
    """
    content: bytes = cloudpickle.dumps((network, plane, curvature, train, test))
    return content


def tensors_of(network: nn.Module) -> list[list[Tensor]]:
    """Parameters and buffers, those that are not persistent too, by number format."""
    tensors = [*network.parameters(), *network.buffers()]
    formats = groupby(sorted(tensors, key=lambda t: str(t.dtype)), key=lambda t: t.dtype)
    return [list(alike) for _, alike in formats]


def values_of(network: nn.Module) -> list[Tensor]:
    """A copy of all tensors of a network, flat, one for each number format, where they are."""
    with torch.no_grad():
        return [torch.cat([t.reshape(-1) for t in alike]) for alike in tensors_of(network)]


def load_values(network: nn.Module, values: Sequence[Tensor]) -> None:
    """Put a copy of :func:`values_of` into a network like the one it is of."""
    with torch.no_grad():
        for alike, flat in zip(tensors_of(network), values, strict=True):
            parts = flat.split([tensor.numel() for tensor in alike])
            for tensor, part in zip(alike, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))


def as_bytes(values: Sequence[Tensor]) -> list[np.ndarray]:
    """Tensors on the CPU as they travel: bytes, since NumPy lacks some formats."""
    return [flat.view(torch.uint8).numpy() if flat.numel() else np.empty(0) for flat in values]


class Interrupted(Exception):
    """Newer weights have come while old ones were measured more finely."""


class Observer:
    """Measures the networks of one subject.

    Args:
        parts: what :func:`packed` was given.
        subject: see :class:`Subject`.
        send: takes each :class:`Result`.
        check: called before every few images; may raise to cancel.
    """

    def __init__(
        self,
        parts: Sequence[Any],
        subject: Subject,
        send: Callable[[Any], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        device = torch.device(subject.device)
        self.network: nn.Module = parts[0].to(device).eval()
        self._plane, self._curvature, self._train, self._test = parts[1:]
        self._subject, self._send, self._check = subject, send, check
        self._values = tensors_of(self.network)
        self._vectors: dict[int, Tensor] = {}
        self._searches: dict[int, int] = {}
        self._next_search = -math.inf
        self._evaluators: dict[int, Evaluator] = {}
        self._finer: list[tuple[Member, int, Iterator[Landscape]]] = []
        self._moment: Moment | None = None

    def loss(self) -> float:
        """Of the network as it came, over the examples of the planes."""
        with torch.no_grad():
            total, _ = on_host(self._plane.measured(self.network, EXAMPLES)).tolist()
        return float(total) / len(self._plane)

    def observe(self, moment: Moment) -> None:
        """Measure planes of all members, then their curvature and accuracy."""
        self._moment, self._finer = moment, []
        for member in moment.members:
            self._take(member)
            with suppress(ConfigError):  # no finite loss, or nothing that a direction moves
                self._plane_of(member, moment.step)
        began = time.monotonic()
        if self._subject.share < 1 and began < self._next_search:
            return
        for member in moment.members:
            self._take(member)
            with suppress(ConfigError):
                self._curvature_of(member, moment.step, self._subject.effort, TOLERANCE)
            self._estimate_of(member, moment.step)
        took = time.monotonic() - began
        self._next_search = time.monotonic() + PLANES_BETWEEN * took

    def refine(self) -> None:
        """Measure the last moment more finely, level by level."""
        if self._moment is None:
            return
        effort = Effort(eigenvalues=MOST_EIGENVALUES, products=100, trace_products=20)
        step = self._moment.step
        for finer in self._finer:
            self._next_level(*finer)
        for member in self._moment.members:
            self._take(member)
            self._curvature_of(member, step, effort, FINE_TOLERANCE, fine=True)
        for finer in self._finer:
            while self._next_level(*finer):
                pass
        self._moment, self._finer = None, []

    def _take(self, member: Member) -> None:
        if member.weights is None:
            return
        formats = [alike[0].dtype if alike else torch.uint8 for alike in self._values]
        flat = [torch.from_numpy(b).view(f) for b, f in zip(member.weights, formats, strict=True)]
        load_values(self.network, flat)

    def _result(self, member: Member, step: int, kind: str, **detail: Any) -> None:
        self._send(Result(member.number, step, kind, detail))

    def _plane_of(self, member: Member, step: int) -> None:
        frame = random_frame(self.network, seed=self._subject.seed)
        evaluator = self._evaluators.get(member.number)
        if evaluator is None:
            evaluator = Evaluator(self.network, self._plane, chunk=EXAMPLES, check=self._check)
            self._evaluators[member.number] = evaluator
        evaluator.take_over(self.network)
        levels = Sampler(frame, evaluator, Grid([(-1.0, 1.0)] * 2, FINEST)).levels()
        finer = member, step, levels
        self._finer.append(finer)
        self._next_level(*finer, least=self._subject.effort.points)

    def _next_level(
        self, member: Member, step: int, levels: Iterator[Landscape], least: int = 0
    ) -> bool:
        """Send the next level of a plane that has at least so many points; whether there is one."""
        started = time.perf_counter()
        plane = next((level for level in levels if len(level.axes[0]) >= least), None)
        if plane is None:
            return False
        self._result(
            member,
            step,
            PLANE,
            axis=[float(x) for x in plane.axes[0]],
            loss=[[_rounded(value) for value in row] for row in plane.loss.tolist()],
            images=len(self._plane),
            seconds=round(time.perf_counter() - started, 4),
        )
        return True

    def _curvature_of(
        self, member: Member, step: int, effort: Effort, tolerance: float, fine: bool = False
    ) -> None:
        """Eigenvalues, residuals and now and then the trace; how the steps meet them."""
        started, count = time.perf_counter(), self._searches.get(member.number, 0)
        start = self._vectors.get(member.number) if fine or count % COLD_EVERY else None
        with hessian_of(self.network, self._curvature, on_batch=self._check) as hessian:
            wanted = min(effort.eigenvalues, len(hessian))
            top = top_of(
                hessian,
                k=wanted,
                tol=tolerance,
                max_products=max(effort.products, wanted),
                start=start,
                seed=count,
                decisive=None if fine else 1,
            )
            trace = found = None
            if effort.trace_products and (fine or count % COLD_EVERY == 0):
                trace = hessian_trace(hessian, products=effort.trace_products).total
                found = dynamics_of(hessian, top.vectors, member.rho)
        self._vectors[member.number] = top.vectors
        self._searches[member.number] = count + (not fine)
        self._result(
            member,
            step,
            CURVATURE,
            values=top.values,
            residuals=top.residuals,
            converged=top.converged,
            products=top.products,
            trace=trace and trace.value,
            trace_error=trace and trace.error,
            images=len(self._curvature),
            seconds=round(time.perf_counter() - started, 4),
            **member.facts,
            **(asdict(found) if found else {}),
        )

    @torch.no_grad()
    def _estimate_of(self, member: Member, step: int) -> None:
        """Accuracy on some training and some test images, with the standard errors."""
        if self._train is None or self._test is None:
            return
        found: dict[str, Any] = {}
        for name, sample in (("train", self._train), ("test", self._test)):
            _, right = on_host(sample.measured(self.network, EXAMPLES, self._check)).tolist()
            share = right / len(sample)
            found[f"{name}_accuracy"] = share
            found[f"{name}_error"] = math.sqrt(share * (1 - share) / len(sample))
        found["gap"] = found["train_accuracy"] - found["test_accuracy"]
        found["gap_error"] = math.hypot(found["train_error"], found["test_error"])
        self._result(member, step, ESTIMATE, images=len(self._test), **found)


def _rounded(value: float) -> float | None:
    """A loss as it is recorded; None where it is not finite."""
    return float(f"{value:.{SIGNIFICANT}g}") if math.isfinite(value) else None


def serve(inbox: "queue.SimpleQueue[Any]", send: Callable[[Any], None]) -> None:
    """Be the observer; see :mod:`samar.jobs.engine.companion`."""
    subject: Subject = inbox.get()
    torch.set_num_threads(1)
    if subject.share < 1:
        _step_back()
    refining = False

    def check() -> None:
        if refining and not inbox.empty():
            raise Interrupted

    try:
        observer = Observer(cloudpickle.loads(subject.parts), subject, send, check)
        send((LOSS, observer.loss()))
    except Exception as error:
        traceback.print_exc()
        send((PROBLEM if is_out_of_memory(error) else LOSS, _sentence(error)))
        return
    while True:
        message = inbox.get()
        refining, began, busy = message == REFINE, time.monotonic(), time.process_time()
        try:
            if refining:
                observer.refine()
            else:
                observer.observe(message)
        except Interrupted:
            pass
        except Exception as error:
            traceback.print_exc()
            send((PROBLEM, _sentence(error)))
            release()
            time.sleep(RETRY_SECONDS)
        if refining:
            send((REFINED, None))
        else:
            spent = time.process_time() - busy
            time.sleep(max(0.0, spent / subject.share - (time.monotonic() - began)))
            send((READY, None))


def _step_back() -> None:
    """Leave the cores to the training."""
    with suppress(OSError, AttributeError, psutil.Error):
        os.nice(STEPS_BACK)


def _sentence(error: Exception) -> str:
    """What went wrong."""
    if is_out_of_memory(error):
        return "There is not enough memory to measure landscape and eigenvalues now."
    return f"{type(error).__name__}: {error}"[:300]
