"""Watch a training loop of somebody else: live curves, sharpness, λ, eigenvalues, landscape.

    with samar.watch(model, optimizer, sample=(x, y)) as run:
        for x, y in loader:
            …
            optimizer.step()
            run.step(loss)

Two rules hold. The training stays the same, bit for bit: what is looked at is a copy, or is put
back, the random states too; only a person's edit in the browser changes anything. And it never
ends because of samar: whatever goes wrong here becomes one warning.
"""

import math
import socket
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from samar.curvature.product import batch_size_on
from samar.data.given import Loss, objective_of
from samar.data.objective import BatchLoss, Objective
from samar.device.catalog import gathered
from samar.device.waiting import on_host
from samar.errors import SamarError
from samar.jobs.edits import values_of
from samar.jobs.orders import Order
from samar.jobs.steered import PAUSED_POLL_SECONDS, Steered
from samar.jobs.store import Store
from samar.jobs.work import FLUSH_SECONDS, JobLost, Work
from samar.kinds.watch import WatchSettings, running_script
from samar.models.guard import undisturbed, unwrapped
from samar.optim.catalog import OPTIMIZERS
from samar.optim.samar import SAMAR
from samar.optim.two_pass import TwoPassOptimizer
from samar.training.measurements import (
    USUAL,
    CurvatureMeasurement,
    Effort,
    LandscapeMeasurement,
    Measurement,
)
from samar.training.records import NAN, EpochRecord, StepRecord
from samar.training.trainer import MEASURED

FIRST = Effort(USUAL.curvature_images, 12, 6, USUAL.landscape_images, 5, 5)
"""The first look, which is soon there."""
LOOK_SECONDS, LOOK_SHARE = 2.0, 0.02
"""From one look to the next at least so many seconds, and so large a share of the time so far: a
run of ten hours keeps some 400 landscapes."""
GRADIENT_FORWARDS = 3
"""A gradient takes about as long as so many forward passes."""
PATIENCE_SECONDS = 2.0
"""For which a training waits for a store that is busy, at a look or at its end."""


class _Pending(NamedTuple):
    """A step whose numbers wait on the device."""

    values: Tensor
    step: int
    epoch: int
    lr: float
    grad_evals: int
    seconds: float
    told: bool


def watch(
    model: nn.Module,
    optimizer: Optimizer,
    *,
    loss: Loss | None = None,
    sample: Any = None,
    forward: BatchLoss | None = None,
    name: str = "",
    looks: float = 0.1,
    steps: int | None = None,
    store: Store | None = None,
    quiet: bool = False,
) -> "WatchedRun":
    """Watch a training loop as a job, which the app shows live.

    Args:
        model: any module; compiled or distributed ones too.
        optimizer: that takes the steps; one of samar's tells its sharpness and λ.
        loss, sample, forward: on what landscape and eigenvalues are measured, the same examples
            throughout; see :func:`samar.data.given.objective_of`, where the sample is called data.
            A few hundred examples are enough. Without a sample none are measured.
        name: of the run; made from optimizer and network if empty.
        looks: largest share of the time that these measurements take; 0 takes none.
        steps: of the whole training, to show how far it is.
        store: another than the default one.
        quiet: do not say where the run can be seen.

    Returns:
        A block to put the loop into. Where several processes train together, only the first is
        watched.

    Example:
        >>> net = nn.Linear(3, 2)
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> x, y = torch.randn(8, 3), torch.randint(2, (8,))
        >>> with watch(net, optimizer, sample=(x, y), quiet=True) as run:
        ...     for _ in range(3):
        ...         optimizer.zero_grad()
        ...         loss = nn.functional.cross_entropy(net(x), y)
        ...         loss.backward()
        ...         optimizer.step()
        ...         run.step(loss)
        >>> run.id is not None
        True
    """
    return WatchedRun(model, optimizer, loss, sample, forward, name, looks, steps, store, quiet)


class WatchedRun:
    """A training loop that is watched; see :func:`watch`.

    Attributes:
        id: of the job; None where nothing is recorded.
        stopping: whether somebody asked it to stop; a loop that looks at it can end early.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        loss: Loss | None,
        sample: Any,
        forward: BatchLoss | None,
        name: str,
        looks: float,
        steps: int | None,
        store: Store | None,
        quiet: bool,
    ) -> None:
        self._model, self._optimizer = model, optimizer
        self._asked = (loss, sample, forward)
        self._name, self._looks, self._total, self._quiet = name, looks, steps, quiet
        self._store = store
        self._recorder: _Recorder | None = None
        self._warned = False
        self.id: str | None = None

    def __enter__(self) -> "WatchedRun":
        if _is_first_process():
            self._safely(self._begin)
        return self

    def _begin(self) -> None:
        store = self._store or Store()
        settings = _described(self._model, self._optimizer, self._name, self._looks)
        job = store.get(store.create(settings, here=True))
        own = psutil.Process()
        store.beat(job, pid=own.pid, process=own.create_time(), host=socket.gethostname())
        work = Work(store, job, PATIENCE_SECONDS)
        self._recorder = _Recorder(work, unwrapped(self._model), self._optimizer, self._total)
        self.id = job.id
        work.__enter__()
        self._recorder.begin()
        if not self._quiet:
            told = f"samar watches this run as {job.id}; see it live: samar app"
            with suppress(OSError):
                print(told, file=sys.stderr, flush=True)
        loss, sample, forward = self._asked
        if self._looks and sample is not None:
            network = unwrapped(self._model)
            objective = objective_of(network, loss, sample, forward=forward)
            self._recorder.look_at(objective, self._looks)

    def step(self, loss: Tensor | float | None = None) -> None:
        """Tell that a step was taken; call it after ``optimizer.step()``.

        Args:
            loss: of the mini-batch, 0-dim; it is not waited for. Of samar's optimizers it is known.
        """
        if self._recorder is not None:
            recorder = self._recorder
            self._safely(lambda: recorder.step(loss))

    def epoch(
        self,
        *,
        train_loss: float = NAN,
        train_accuracy: float = NAN,
        test_loss: float = NAN,
        test_accuracy: float = NAN,
    ) -> None:
        """Tell what was evaluated after a pass over the data; accuracies between 0 and 1."""
        values = (train_loss, train_accuracy, test_loss, test_accuracy)
        if self._recorder is not None:
            recorder = self._recorder
            self._safely(lambda: recorder.epoch(*(float(value) for value in values)))

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self._recorder is not None and self._recorder.work.stopping

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._recorder is None:
            return
        recorder, self._recorder = self._recorder, None
        status, message = "stopped" if recorder.work.stopping else "finished", ""
        if kind is not None:
            status = "stopped" if issubclass(kind, KeyboardInterrupt) else "failed"
            message = f"{kind.__name__}: {error}"[:500]
        self._safely(lambda: recorder.end(status, message, whole=kind is None))
        self._safely(lambda: recorder.work.__exit__())

    def _safely(self, act: Callable[[], object]) -> None:
        """Do it; if it fails, say so once and watch no more than still works."""
        try:
            act()
        except Exception as error:
            if not self._warned:
                self._warned = True
                what = str(error) if isinstance(error, SamarError) else repr(error)
                _warn(f"samar: {what} The training goes on.")
            if isinstance(error, JobLost):
                self._recorder = None


def _warn(sentence: str) -> None:
    """Warn, also where warnings are errors: those would end the training."""
    try:
        warnings.warn(sentence, RuntimeWarning, stacklevel=4)
    except RuntimeWarning:
        print(sentence, file=sys.stderr)


class _Recorder(Steered):
    """Writes down what a loop does, looks at its network now and then, and obeys orders."""

    def __init__(
        self, work: Work, network: nn.Module, optimizer: Optimizer, total: int | None
    ) -> None:
        super().__init__(work)
        self._network, self._optimizer, self._total = network, optimizer, total
        self._looks: _Looks | None = None
        self._pending: list[_Pending] = []
        self._step = self._epoch = self._grad_evals = 0
        self._lr = self._lr_now()
        self._began, self._aside = time.perf_counter(), 0.0
        self._two_pass = optimizer if isinstance(optimizer, TwoPassOptimizer) else None
        self._note = ""
        self._hook: Any = None
        self._taken: tuple[float, Tensor] | None = None

    @property
    def finished(self) -> bool:
        """Nobody knows."""
        return False

    @property
    def taken(self) -> int:
        """Steps taken so far."""
        return self._step

    @property
    def seconds(self) -> float:
        """Time so far, without looks and pauses."""
        return time.perf_counter() - self._began - self._aside

    @property
    def lr(self) -> float:
        """Learning rate η of the newest step."""
        return self._lr

    def begin(self) -> None:
        """Tell with what the run computes."""
        first = next(self._network.parameters(), torch.zeros(()))
        self.work.progress(0, self._total)
        self.work.note(device=str(first.device))
        self.work.summarize(about={"classes": 0})
        self.tell("started", device=str(first.device), torch=torch.__version__)
        self._hook = self._optimizer.register_step_post_hook(self._stepped)

    def _stepped(self, *_: Any) -> None:
        """Right after the optimizer's step: the loop may drop gradients before it tells."""
        with suppress(Exception):
            self._taken = self._lr_now(), self._norm()

    def _lr_now(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])

    def _norm(self) -> Tensor:
        """‖g‖ of a plain optimizer; others know it."""
        if self._two_pass is not None:
            return self._two_pass.grad_norm
        grads = [p.grad for p in self._network.parameters() if p.grad is not None]
        return torch.nn.utils.get_total_norm(grads) if grads else torch.tensor(NAN)

    def look_at(self, objective: Objective, share: float) -> None:
        """Measure landscape and eigenvalues on these examples from now on."""
        self._looks = _Looks(self, self._network, objective, share)
        self._began = time.perf_counter()

    def step(self, loss: Tensor | float | None = None) -> None:
        """Note a step, and now and then write down, look and obey."""
        self._step += 1
        self._grad_evals += self._two_pass.gradients if self._two_pass else 1
        now = self.seconds
        self._lr, norm = self._taken or (self._lr_now(), self._norm())
        self._taken = None
        values = self._measured(loss, norm)
        epoch, told = self._epoch + 1, loss is not None or self._two_pass is not None
        self._pending.append(
            _Pending(values, self._step, epoch, self._lr, self._grad_evals, now, told)
        )
        self.single_steps = max(0, self.single_steps - 1)
        if self.paused or time.monotonic() - self._flushed > FLUSH_SECONDS:
            started = time.perf_counter()
            self.write()
            self._look(_Looks.perhaps)
            self.obey()
            while self.paused and not self.single_steps and not self.work.stopping:
                time.sleep(PAUSED_POLL_SECONDS)
                self.obey()
            self._flushed = time.monotonic()
            self._aside += time.perf_counter() - started

    def _measured(self, loss: Tensor | float | None, norm: Tensor) -> Tensor:
        """The step's numbers as one row on the device, in the order of a record."""
        if self._two_pass is not None:
            known = self._two_pass
            missing = torch.full_like(known.grad_norm, NAN)
            row = [getattr(known, name, missing) for name in MEASURED]
            return torch.stack([value.float() for value in row])
        plain = torch.as_tensor(NAN if loss is None else loss, device=norm.device).detach().float()
        missing = torch.full_like(plain, NAN)
        return torch.stack([plain, missing, missing, missing, missing, norm.detach().float()])

    def write(self) -> None:
        """Record the steps since the last time, fetched in one transfer."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        rows = on_host(torch.stack([each.values for each in pending])).tolist()
        steps = []
        for row, each in zip(rows, pending, strict=True):
            loss, perturbed, sharpness, ratio, lam, norm = row
            if each.told and not math.isfinite(loss) and not self._note:
                self._note = f"The loss is not finite from step {each.step} on."
            steps.append(
                StepRecord(
                    step=each.step,
                    epoch=each.epoch,
                    loss=loss,
                    perturbed_loss=perturbed,
                    sharpness=sharpness,
                    ratio=ratio,
                    lam=lam,
                    grad_norm=norm,
                    lr=each.lr,
                    grad_evals=each.grad_evals,
                    seconds=each.seconds,
                )
            )
        self.work.record(steps)
        self.work.progress(self._step, self._total)

    def epoch(
        self, train_loss: float, train_accuracy: float, test_loss: float, test_accuracy: float
    ) -> None:
        """Note what was evaluated after a pass over the data."""
        self._epoch += 1
        record = EpochRecord(
            epoch=self._epoch,
            step=self._step,
            grad_evals=self._grad_evals,
            seconds=self.seconds,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            train_images=0,
            test_loss=test_loss,
            test_accuracy=test_accuracy,
            gap=train_accuracy - test_accuracy,
        )
        self.work.record(epochs=[record])
        known = {n: getattr(record, n) for n in EpochRecord.__dataclass_fields__}
        plain = {n: None if v != v else v for n, v in known.items()}
        self.work.summarize(epoch=plain)

    def keep(self, kind: str, step: int, landscape: Any) -> None:
        """Keep a landscape of this moment."""
        file = f"film/{kind}-{step}.npz"
        self.work.keep_saved(kind, landscape, file, step=step, needed=False)

    def carry_out(self, order: Order) -> None:
        """Obey an order that is not about the steps themselves."""
        if order.command == "measure":
            self._look(_Looks.now)
        elif order.command == "change":
            self._change(order.detail)

    def _change(self, detail: dict[str, Any]) -> None:
        values = values_of(detail)
        for name in ("lr", "rho"):
            for group in self._optimizer.param_groups:
                if name in values and name in group:
                    group[name] = values[name]
        if "lam_held" in values and isinstance(self._optimizer, SAMAR):
            self._optimizer.hold(values["lam_held"])
        self.note_edit(detail)

    def save(self) -> None:
        """Nothing: the script keeps its own checkpoints."""

    def _wait_for_place(self) -> None:
        if self.work.store.unpause(self.work.job, sys.maxsize):
            self.paused = False
            self.tell("resumed")

    def end(self, status: str = "finished", message: str = "", whole: bool = True) -> None:
        """Write what is left, look a last time, and say how the run ended.

        Args:
            whole: whether the loop came to its end.
        """
        if self._hook is not None:
            self._hook.remove()
        self.write()
        try:
            if whole:
                self._look(_Looks.last)
        finally:
            self.work.end(status, message or self._note)

    def _look(self, how: Callable[["_Looks"], None]) -> None:
        """Look at the network; where that fails, it is not tried again."""
        if self._looks is None:
            return
        try:
            how(self._looks)
        except Exception:
            self._looks = None
            raise


class _Looks:
    """Landscape and eigenvalues of a watched network, within a share of the time.

    The training run as its measurements see it, see
    :class:`samar.training.measurements.Subject`.
    """

    direction_seed = 0

    def __init__(
        self, recorder: _Recorder, network: nn.Module, objective: Objective, share: float
    ) -> None:
        self.model, self._recorder, self._objective = network, recorder, objective
        self._forward = self._seconds_of_forward()
        self._measurements: list[Measurement] = [
            kind(recorder, 1, share / 2, recorder.go_on)
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
        return self._recorder.taken

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return self._recorder.seconds

    @property
    def lr(self) -> float:
        """Learning rate η of the newest step."""
        return self._recorder.lr

    @property
    def examples(self) -> float:
        """Gradients of single examples that the time so far amounts to."""
        return self.seconds / max(GRADIENT_FORWARDS * self._forward, 1e-9)

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
        """Look at the end of the training, if there is time for it or it was never done."""
        for each in self._measurements:
            if each.affordable(self):
                each.now(self, USUAL)
            elif not each.taken:
                each.now(self, FIRST)

    def _take(self, measurement: Measurement, effort: Effort) -> None:
        self._recorder.work.progress(self.step_count, doing="measuring")
        measurement.take(self, effort)
        self._recorder.work.progress(self.step_count)


def _described(model: nn.Module, optimizer: Optimizer, name: str, looks: float) -> WatchSettings:
    """A run's settings, as far as model and optimizer tell them."""
    network, group = unwrapped(model), optimizer.param_groups[0]
    kind, base = _kind_of(optimizer), optimizer
    values: dict[str, Any] = {}
    if isinstance(optimizer, TwoPassOptimizer):
        base = optimizer.base
    if isinstance(optimizer, SAMAR):
        rule = optimizer.rule
        constants = {n: getattr(rule, n, 0.0) for n in ("tau", "scale")}
        bounds = {"lam_min": optimizer.lam_min, "lam_max": optimizer.lam_max}
        values |= {"rule": str(rule.name), "lam": float(optimizer.lam), **bounds, **constants}
        values["lam_held"] = optimizer.held
    values |= {"lr": float(group["lr"]), "rho": group.get("rho")}
    known: Mapping[str, Any] = {
        "name": name,
        "optimizer": kind,
        "base": type(base).__name__,
        "network": type(network).__name__,
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "script": running_script(),
        "looks": looks,
    }
    return WatchSettings.parse({**known, **values})


def _kind_of(optimizer: Optimizer) -> str:
    """The key in samar's catalogue; of another optimizer that of the plain gradient."""
    names = [each.__name__.lower() for each in type(optimizer).__mro__]
    return next((name for name in names if name in OPTIMIZERS and name != "sgd"), "sgd")


def _is_first_process() -> bool:
    """Whether this process is alone, or the first of those that train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank() == 0
    return gathered()[0] == 0
