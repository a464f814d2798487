"""The training's side of the observer: when it is handed weights, and where its results go.

Training hands over a copy of the weights at the step after the observer said that it is ready, and
goes on. Nothing here waits for it; a loop at pace ``epoch`` asks :meth:`Observing.behind` before
its next step. An observer that ends before its time is replaced; the training goes on meanwhile.
"""

import copy
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from samar.curvature.dynamics import edge_of_stability
from samar.data.sample import Sample
from samar.device.placement import is_gpu
from samar.device.waiting import HostCopy
from samar.jobs.engine.companion import Companion
from samar.jobs.job import log_path
from samar.jobs.pace import EPOCH, OFF, PACE, most_epochs_a_second
from samar.jobs.records import CHANGE, CURVATURE, MEASURED, PLANE
from samar.jobs.work import Work
from samar.optim.two_pass import TwoPassOptimizer
from samar.training.observer import (
    LOSS,
    PROBLEM,
    READY,
    REFINE,
    REFINED,
    SERVE,
    Effort,
    Member,
    Moment,
    Result,
    Subject,
    as_bytes,
    packed,
    values_of,
)
from samar.training.trainer import Trainer

LARGE_MACS = 5_000_000
"""Multiply-accumulates of a forward pass of one image, from which on a CPU measures less."""
PLANE_IMAGES, ESTIMATE_IMAGES = 64, 256
CURVATURE_IMAGES = {True: 128, False: 32}
"""Images of a curvature, where one is quick to measure and where not."""
CROWDED_SHARE = 0.35
"""Of one core, what the observer takes where training needs all of them."""
MOST_MOMENTS = 500
"""Of one run; beyond that about every second one goes, so that those left are spread over the run;
the first, the last and those of edits stay."""
LAST_SECONDS = 30.0
"""So long a run that is over waits for the measurement of its last weights."""
RESTART_SECONDS, MOST_RESTART_SECONDS = 1.0, 60.0
"""From the end of an observer to the next one, twice as long each time."""


class Observed(Protocol):
    """One run as its observer sees it."""

    @property
    def work(self) -> Work:
        """Its job."""

    @property
    def network(self) -> nn.Module:
        """The network that is trained."""

    @property
    def optimizer(self) -> Optimizer:
        """What takes its steps."""

    @property
    def plain_lr(self) -> float | None:
        """Learning rate η of the newest step of plain gradient descent; None of another."""


class Observing:
    """The observer of a run, or of all members of a race.

    Args:
        work: the job whose process trains.
        subject: makes what is sent to the observer, when one starts.
        pace: see :mod:`samar.jobs.pace`.
        arrived: called with the loss that the observer computed of the first weights, or with a
            sentence on why it could not; returns why nothing is measured, or nothing.

    Attributes:
        runs: those that are observed, by number.
        problem: why nothing is measured, in a sentence; empty if it is.
        refining: whether the newest moment is being measured more finely.
    """

    def __init__(
        self,
        work: Work,
        subject: Callable[[], Subject],
        pace: str,
        arrived: Callable[[float | str], str] = lambda found: (
            found if isinstance(found, str) else ""
        ),
    ) -> None:
        self.work, self._subject, self.pace, self._arrived = work, subject, pace, arrived
        self.runs: dict[int, Observed] = {}
        self.problem, self.refining = "", False
        self._companion: Companion | None = None
        self._ready = threading.Event()
        self._wanted = False  # at the next chance, whatever the pace
        self._handed = -1  # the step of the newest moment
        self._left = 0.0  # when its weights were left
        self._next_step = 0.0  # earliest, at a pace in epochs a second
        self._pause = RESTART_SECONDS
        self._closed = False
        self._steps_per_epoch = 1
        self._counts: dict[int, _Count] = {}

    @property
    def alive(self) -> bool:
        """Whether there is an observer."""
        return self._companion is not None and self._companion.alive and not self.problem

    @property
    def busy(self) -> bool:
        """Whether something is being measured."""
        return self.alive and (self.refining or not self._ready.is_set())

    def begin(self, runs: Mapping[int, Observed], step: int, steps_per_epoch: int) -> None:
        """Observe these runs from a step on."""
        self.runs, self._steps_per_epoch = dict(runs), steps_per_epoch
        for number, run in self.runs.items():
            events = run.work.store.records.events(run.work.job.key)
            measured = sorted({event.step for event in events if event.kind in MEASURED[:-1]})
            edited = {event.step for event in events if event.kind == CHANGE}
            self._counts[number] = _Count(measured, edited)
        if self.pace != OFF:
            self._start()
            self.hand_over(step)

    def newest(self, number: int) -> int | None:
        """The newest step at which a run was measured."""
        return self._counts[number].newest

    def set_pace(self, pace: str) -> None:
        """Go on at another pace."""
        self.pace, self._next_step = pace, 0.0
        self.work.summarize(**{PACE: pace})
        if pace != OFF and self._companion is None:
            self._start()

    def want(self, step: int) -> None:
        """Measure at once, whatever the pace."""
        if self._companion is None:
            self._start()
        self._wanted = True
        self.hand_over(step)

    def step_taken(self, step: int) -> None:
        """Hand over the weights, if the observer is ready and the pace lets it."""
        limit = most_epochs_a_second(self.pace) * self._steps_per_epoch
        self._next_step = max(self._next_step, time.monotonic()) + 1 / limit
        at_epoch_end = step % self._steps_per_epoch == 0
        due = self.pace != OFF and (self.pace != EPOCH or at_epoch_end)
        if (due or self._wanted) and self._ready.is_set() and self.alive:
            self.hand_over(step)

    def behind(self, step: int) -> bool:
        """Whether the next step is to wait: for the observer, or for its time."""
        at_epoch_end = step % self._steps_per_epoch == 0
        if self.pace == EPOCH and at_epoch_end and self._handed != step:
            if self.alive and not self._ready.is_set():
                return True
            if self.alive:
                self.hand_over(step)
        return time.monotonic() < self._next_step

    def hand_over(self, step: int) -> None:
        """Send a copy of the weights of all runs; copies from a device are not waited for."""
        companion = self._companion
        if companion is None or self._handed == step or not self.runs:
            return
        self._ready.clear()
        self._wanted = self.refining = False
        self._handed, self._left = step, time.monotonic()
        members = [facts_of(number, run) for number, run in self.runs.items()]
        companion.send(lambda: Moment(step, [member() for member in members]))

    def rest(self, step: int) -> None:
        """Measure the weights, and ever more finely while they stand still."""
        self.hand_over(step)
        self.refine()

    def refine(self) -> None:
        """Measure the newest moment more finely, while the weights stand still."""
        if self.alive and self.pace != OFF and not self.refining:
            assert self._companion is not None
            self.refining = True
            self._companion.send(REFINE)

    def write_late(self) -> None:
        """Write what was measured after the jobs had ended."""
        for run in self.runs.values():
            run.work.write_late()

    def last(self, step: int, wait: Callable[[], bool], seconds: float = LAST_SECONDS) -> None:
        """Let the last weights be measured, and wait for that a while.

        Args:
            wait: sleeps for a moment, and says whether to go on waiting.
            seconds: to wait at most.
        """
        if self.pace == OFF:
            return
        until = time.monotonic() + seconds
        while self.pace != OFF and self.alive and time.monotonic() < until:
            if self._ready.is_set():
                if self._handed == step:
                    break
                self.hand_over(step)
            if not wait():
                break
        for number, count in self._counts.items():
            if self._handed != step or not self._ready.is_set():
                count.grow_old()
            self._tell(number)

    def close(self) -> None:
        """Let the observer end."""
        self._closed = True
        if self._companion is not None:
            self._companion.end()

    def _start(self) -> None:
        try:
            subject = self._subject()
        except Exception as error:
            self._give_up(f"The network cannot be sent to the observer: {error}"[:300])
            return
        self._ready.clear()
        self._handed = -1
        log = log_path(self.work.job.id)
        self._companion = Companion(SERVE, self._receive, self._ended, log)
        self._companion.send(subject)
        self._ready.set()  # the first weights wait for it in the pipe

    def _receive(self, message: Any) -> None:
        if self.problem:
            return
        if isinstance(message, Result):
            self._keep(message)
            return
        kind, detail = message
        if kind == READY:
            self._ready.set()
        elif kind == REFINED:
            self.refining = False
        elif kind == PROBLEM:
            self._say(f"{detail} The training goes on.")
        elif kind == LOSS and (why := self._arrived(detail)):
            self._give_up(why)

    def _keep(self, result: Result) -> None:
        run, count = self.runs.get(result.number), self._counts.get(result.number)
        if run is None or count is None:  # it diverged meanwhile
            return
        run.work.emit(result.kind, result.step, **result.detail)
        if dropped := count.add(result, self._left):
            run.work.later(run.work.store.records.thin, dropped)
            run.work.summarize(thinned=run.work.summary.get("thinned", 0) + 1)
        self._tell(result.number)

    def _tell(self, number: int) -> None:
        if (run := self.runs.get(number)) is not None:
            run.work.summarize(observed=self._counts[number].summary)

    def leave(self, run: Observed) -> None:
        """Observe a run no longer."""
        self.runs = {number: other for number, other in self.runs.items() if other is not run}

    def edited(self, step: int) -> None:
        """Keep what is measured at this step, at which settings were changed."""
        for count in self._counts.values():
            count.kept.add(step)

    def _say(self, sentence: str) -> None:
        """Tell once."""
        if self.work.summary.get("observer") != sentence:
            self.work.summarize(observer=sentence)
            self.work.emit("observer", max(self._handed, 0), reason=sentence)

    def _give_up(self, why: str) -> None:
        self.problem = why
        self._say(why)
        self.close()

    def _ended(self) -> None:
        """The observer was killed, or could not go on; another takes its place."""
        if self._closed or self.problem:
            return
        self._say("The observer of this run ended before its time; another takes its place.")

        def again() -> None:
            if not self._closed:
                self._start()

        timer = threading.Timer(self._pause, again)
        timer.daemon = True
        timer.start()
        self._pause = min(2 * self._pause, MOST_RESTART_SECONDS)


class _Count:
    """What was measured of one run.

    Args:
        steps: at which something was measured, in order.
        kept: steps whose measurements stay, however many there are.
    """

    def __init__(self, steps: list[int], kept: set[int]) -> None:
        self._steps, self.kept = steps, kept
        self._planes, self._estimates = set[int](), set[int]()
        self._newest_left = 0.0  # when the weights of the newest plane were left
        self._oldest = 0.0

    @property
    def newest(self) -> int | None:
        """The newest step."""
        return self._steps[-1] if self._steps else None

    @property
    def summary(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "planes": len(self._planes),
            "eigenvalue_estimates": len(self._estimates),
            "oldest_plane_seconds": round(self._oldest, 2),
        }

    def grow_old(self) -> None:
        """Note how long the newest plane has been older than the weights."""
        if self._newest_left:
            self._oldest = max(self._oldest, time.monotonic() - self._newest_left)

    def add(self, result: Result, left: float) -> list[int]:
        """Count a result; returns the steps whose results are to go, if there are too many."""
        if result.kind == PLANE:
            if result.step not in self._planes:
                self.grow_old()
                self._newest_left = left
            self._planes.add(result.step)
        elif result.kind == CURVATURE:
            self._estimates.add(result.step)
        if not self._steps or result.step != self._steps[-1]:
            self._steps.append(result.step)
        if len(self._steps) <= MOST_MOMENTS:
            return []
        first, *between, last = self._steps
        spacing = 2 * (last - first) / MOST_MOMENTS
        spread = [first]
        for step in between:
            if step in self.kept or step - spread[-1] >= spacing:
                spread.append(step)
        dropped = sorted({*between}.difference(spread))
        self._steps = [*spread, last]
        return dropped


def subject_of(trainer: Trainer) -> Subject:
    """What an observer is sent of a training run.

    Raises:
        Exception: its network cannot be pickled.
    """
    device, large = trainer.placement.device, trainer.macs >= LARGE_MACS
    quick = is_gpu(device) or not large
    parts = packed(
        copy.deepcopy(trainer.model).cpu(),
        trainer.sample(PLANE_IMAGES),
        trainer.sample(CURVATURE_IMAGES[quick]),
        trainer.sample(ESTIMATE_IMAGES),
        Sample.of(trainer.dataset.test, trainer.dataset.normalization, ESTIMATE_IMAGES),
    )
    effort = Effort() if quick else Effort(points=5, products=4, trace_products=0)
    free = is_gpu(device) or core_is_free(trainer.ranks)
    share = 1.0 if free else CROWDED_SHARE
    return Subject(parts, str(device), trainer.config.seed, effort, share)


def core_is_free(processes: int = 1) -> bool:
    """Whether this machine has a core that a training in so many processes does not use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) > torch.get_num_threads() * processes


def facts_of(number: int, run: Observed) -> Callable[[], Member]:
    """A member of a moment, copied now; the function waits until the copies have arrived."""
    weights = [HostCopy(flat) for flat in values_of(run.network)]
    edge = _edge_of(run.optimizer, run.plain_lr)
    rho, lr = _radius(run.optimizer), run.plain_lr

    def member() -> Member:
        arrived = as_bytes([copy.tensor() for copy in weights])
        return Member(number, arrived, rho, {"lr": lr, "edge": edge()})

    return member


def _radius(optimizer: Optimizer) -> float | None:
    """ρ of a perturbation along the gradient, if there is one."""
    return optimizer.ascent_radius if isinstance(optimizer, TwoPassOptimizer) else None


def _edge_of(optimizer: Optimizer, lr: float | None) -> Callable[[], float | None]:
    """The curvature that the newest step tolerates, once its numbers have arrived.

    None where the theory does not say.
    """
    if not lr:
        return lambda: None
    if not isinstance(optimizer, TwoPassOptimizer):
        return lambda: edge_of_stability(lr)
    policy, progress, rho = optimizer.second_pass, optimizer.progress, optimizer.ascent_radius
    held = getattr(optimizer, "held", None) is not None and policy.needs_lam
    used: Tensor = getattr(optimizer, "lam_used", torch.ones_like(optimizer.grad_norm))
    numbers = HostCopy(torch.stack([used.detach().float(), optimizer.grad_norm.detach().float()]))

    def edge() -> float | None:
        lam_used, norm = numbers.tensor().tolist()
        lam = lam_used if held else policy.mixed(lam_used, progress)
        if lam == 0:
            return edge_of_stability(lr)
        if lam is None or lam < 0 or rho is None or not norm > 0:
            return None
        return edge_of_stability(lr, lam * rho, norm)

    return edge
