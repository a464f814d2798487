"""Writes down what a watched loop does, and obeys orders between its steps.

Landscape and eigenvalues are measured by an observer, where the network can be sent to another
process; else once at the start and once at the end, here.
"""

import math
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from itertools import groupby
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from samar.data.objective import Objective
from samar.device.waiting import on_host
from samar.errors import ConfigError
from samar.jobs.edits import WAS, values_of
from samar.jobs.outbox import JobLost
from samar.jobs.pace import FAST, OFF, PACE
from samar.jobs.records import SET_PACE, Order
from samar.jobs.steered import HELD_SECONDS, PAUSED_SECONDS, Steered
from samar.jobs.training_records import NAN, EpochRecord, StepRecord
from samar.jobs.work import Work
from samar.models.guard import undisturbed
from samar.optim.samar import SAMAR
from samar.optim.two_pass import TwoPassOptimizer
from samar.training.observer import EXAMPLES, Effort, Moment, Observer, Result, Subject, packed
from samar.training.observing import Observing, core_is_free, facts_of
from samar.training.trainer import step_values

NO_SAMPLE = "Not asked for: samar.watch(…, sample=(x, y)) in the script does."
FEW_POINTS = Effort(points=5, eigenvalues=1, products=6, trace_products=0)
SCRIPT_SHARE = 0.1
"""Of one core, what the observer takes where the loop needs all of them."""
LAST_SECONDS = 5.0
"""So long the end of a loop waits for the measurement of its last weights."""
SAME_LOSS = 1e-4
"""How far, relatively, the loss of a network that was sent may be from the loop's own."""
HERE_ALONE = (
    "Measured at the start and at the end alone, since the network cannot be sent to another "
    "process ({why})."
)
NO_EPOCHS = 2**62
"""Steps of an epoch, of which nobody knows."""
ASKED_TO_STOP = "Asked to stop: the script decides when (it looks at run.stopping)."
NOT_STOPPED = "It was asked to stop, and went on: the script does not look at run.stopping."
MOST_STEPS = 2**62
"""A store keeps a number of steps below this."""
ALONE = ("pause", "step", "change")
"""Orders that the others of several processes would have to obey too."""


class _Pending(NamedTuple):
    """A step whose numbers wait on the device."""

    values: Tensor
    known: dict[str, Any]
    told: bool


class Recorder(Steered):
    """Writes down what a loop does, has its network observed, and obeys orders."""

    def __init__(self, work: Work, network: nn.Module, optimizer: Optimizer) -> None:
        super().__init__(work)
        self.network, self.optimizer = network, optimizer
        self._total: int | None = None
        self._objective: Objective | None = None
        self._why_here: str | None = None  # it is measured in this process; None where it is not
        self._measured_here = False
        self._pending: list[_Pending] = []
        self._step = self._epoch = self._grad_evals = 0
        self._lr = self._lr_now()
        self._began, self._aside = time.perf_counter(), 0.0
        self._two_pass = optimizer if isinstance(optimizer, TwoPassOptimizer) else None
        self._note = ""
        self._told_to_stop = False
        self._format = torch.promote_types(self._first.dtype, torch.float32)
        self._hook: Any = None
        self._taken: tuple[float, Tensor] | None = None
        self._shares: dict[str, list[Any]] = {}
        self._evaluated = self._evaluations()

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
        """Time so far, without pauses."""
        return time.perf_counter() - self._began - self._aside

    @property
    def _first(self) -> Tensor:
        """A parameter, for its device and format."""
        return next(self.network.parameters(), torch.zeros(()))

    @property
    def plain_lr(self) -> float | None:
        """Learning rate η of the newest step of SGD; None of another base optimizer."""
        base = self._two_pass.base if self._two_pass else self.optimizer
        return self._lr if isinstance(base, torch.optim.SGD) else None

    def begin(self) -> None:
        """Tell with what the run computes."""
        device = str(self._first.device)
        self.work.progress(0, None)
        self.work.note(device=device)
        self.work.summarize(about={"classes": 0}, observer=NO_SAMPLE)
        self.tell("started", device=device, torch=torch.__version__)
        for name in ("lr", "rho"):
            self._proportions(name)
        # Two passes by hand never call the step of the optimizer around the base.
        steps = self._two_pass.base if self._two_pass else self.optimizer
        with suppress(Exception):  # one that wraps another may take no hook
            self._hook = steps.register_step_post_hook(self._stepped)

    def expect(self, steps: Any) -> None:
        """Tell how many steps the whole training will have.

        Raises:
            ConfigError: it is no such number.
        """
        total = float(steps) if isinstance(steps, Real) else NAN
        if not 0 <= total < MOST_STEPS:
            raise ConfigError(
                f"steps is {repr(steps)[:40]}; it is not recorded: give a number from 0 on."
            )
        self._total = math.ceil(total)
        self.work.progress(self._step, self._total)

    def _stepped(self, *_: Any) -> None:
        """Right after the optimizer's step: the loop may drop gradients before it tells."""
        with suppress(Exception):
            self._taken = self._lr_now(), self._norm()

    def _lr_now(self) -> float:
        return float(leading(self.optimizer, "lr", NAN))

    def _norm(self) -> Tensor:
        """‖g‖ of a plain optimizer, NaN where it cannot be told; others know it."""
        if self._two_pass is not None:
            return self._two_pass.grad_norm
        stepped = [p for group in self.optimizer.param_groups for p in group["params"]]
        grads = [p.grad for p in stepped if p.grad is not None]
        with suppress(Exception):
            if grads:
                dense = [g.coalesce().values() if g.is_sparse else g for g in grads]
                return torch.nn.utils.get_total_norm(dense)
        return torch.full((), NAN, device=self._first.device)

    def _evaluations(self) -> int | None:
        """Gradients of all steps, of an optimizer that counts them; None of another."""
        if not isinstance(self.optimizer, torch.optim.LBFGS):
            return None
        return sum(int(each.get("func_evals", 0)) for each in self.optimizer.state.values())

    def _gradients(self) -> int:
        """Gradients of the newest step."""
        if self._two_pass is not None:
            return self._two_pass.gradients
        before, self._evaluated = self._evaluated, self._evaluations()
        return 1 if before is None or self._evaluated is None else max(0, self._evaluated - before)

    def observe_on(self, objective: Objective, pace: str) -> None:
        """Have landscape and eigenvalues measured on these examples from now on.

        Raises:
            ConfigError: the loss cannot be taken.
        """
        off = "Switched off: pace is off. Measure now takes one." if pace == OFF else ""
        self.work.summarize(observer=off, pace=pace)
        with undisturbed(self.network), torch.no_grad():
            total, _ = on_host(objective.measured(self.network, EXAMPLES)).tolist()
        own = total / len(objective)
        self._objective = objective

        def arrived(found: float | str) -> str:
            if isinstance(found, str):
                why = found.rstrip(".")
            elif math.isclose(found, own, rel_tol=SAME_LOSS, abs_tol=SAME_LOSS):
                return ""
            else:
                why = f"its loss is {own:.6g} here and {found:.6g} there"
            self._why_here = why
            return HERE_ALONE.format(why=why)

        try:
            parts = packed(self.network, objective, objective)
        except Exception as error:
            self._why_here = f"{type(error).__name__}: {error}"[:200].rstrip(".")
        else:
            share = 1.0 if core_is_free() else SCRIPT_SHARE
            subject = Subject(parts, str(objective.device), 0, FEW_POINTS, share)
            self.observing = Observing(self.work, lambda: subject, pace, arrived)
            self.observing.begin({0: self}, self._step, NO_EPOCHS)
        self._measure_here(at_first=True)
        self._began = time.perf_counter()

    def _measure_here(self, at_first: bool = False, asked: bool = False) -> None:
        """Measure landscape and eigenvalues in the loop's own process, which waits for it.

        Args:
            at_first: only if that has not been done yet.
            asked: whether a person asks for it, whatever the pace.
        """
        off = self.work.summary.get(PACE) == OFF and not asked
        objective, why = self._objective, self._why_here
        if objective is None or why is None or off or (at_first and self._measured_here):
            return
        self._measured_here = True
        found: list[Result] = []
        subject = Subject(b"", str(objective.device), 0, FEW_POINTS)
        with undisturbed(self.network):
            parts = (self.network, objective, objective, None, None)
            observer = Observer(parts, subject, found.append)
            observer.observe(Moment(self._step, [facts_of(0, self)()._replace(weights=None)]))
        for result in found:
            self.work.emit(result.kind, result.step, **result.detail)
        if why:
            self.work.summarize(observer=HERE_ALONE.format(why=why))

    def miss(self, why: str) -> None:
        """Say in the app why there are no landscapes and eigenvalues."""
        self.work.summarize(observer=why, note=why)

    def step(self, loss: Tensor | float | None = None) -> None:
        """Note a step, and now and then write down, look and obey."""
        self._step += 1
        self._grad_evals += self._gradients()
        now = self.seconds
        self._lr, norm = self._taken or (self._lr_now(), self._norm())
        self._taken = None
        known = NAN if loss is None else _number(loss)
        plain = torch.as_tensor(NAN if known is None else known, device=norm.device)
        values = step_values(self.optimizer, plain, norm, self._format)
        told = self._two_pass is not None or (loss is not None and known is not None)
        self._pending.append(
            _Pending(
                values,
                {
                    "step": self._step,
                    "epoch": self._epoch + 1,
                    "lr": self._lr,
                    "grad_evals": self._grad_evals,
                    "seconds": now,
                },
                told,
            )
        )
        self.single_steps = max(0, self.single_steps - 1)
        self.observe()
        self._measure_here(at_first=True)
        late = time.monotonic() - self._flushed > self.work.interval
        if late or self.paused or self.work.ordered:
            started = time.perf_counter()
            self.write()
            self.obey()
            while self.paused and not self.single_steps and not self.work.stopping:
                self.work.wait(PAUSED_SECONDS)
                self.obey()
            self._flushed = time.monotonic()
            self._aside += time.perf_counter() - started
            if self.work.lost:
                raise JobLost
        if known is None:
            raise ConfigError(_wrong(loss))

    def obey(self) -> None:
        """Carry out the orders since the last call; to stop is the script's own decision."""
        super().obey()
        if self.work.stopping and not self._told_to_stop:
            self._told_to_stop = True
            self.work.summarize(note=ASKED_TO_STOP)

    def write(self) -> None:
        """Record the steps since the last time, fetched in one transfer from each device."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        rows: list[list[float]] = []
        for _, alike in groupby((each.values for each in pending), lambda values: values.device):
            rows += on_host(torch.stack(list(alike))).tolist()
        steps = []
        for row, each in zip(rows, pending, strict=True):
            record = StepRecord.of(row, **each.known)
            if each.told and not math.isfinite(record.loss) and not self._note:
                self._note = f"The loss is not finite from step {record.step} on."
            steps.append(record)
        self.work.record(steps)
        if self._total and self._step > self._total:  # there are more than were promised
            self._total = None
            self.work.note(total=None)
        self.work.progress(self._step, self._total)

    def epoch(
        self, train_loss: float, test_loss: float, train_accuracy: float, test_accuracy: float
    ) -> None:
        """Note what was evaluated after a pass over the data; before the first step, as epoch 0."""
        if self._step:
            self._epoch += 1
        wrong = [value for value in (train_accuracy, test_accuracy) if value < 0 or value > 1]
        if wrong:
            train_accuracy = test_accuracy = NAN
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
        self.work.summarize(epoch=asdict(record))
        if wrong:
            raise ConfigError(
                f"run.epoch was given an accuracy of {wrong[0]:g}; it is not recorded: give a "
                "share between 0 and 1."
            )

    def follow(self, order: Order) -> None:
        """Carry out one order, unless other processes would not hear of it."""
        if order.command in ALONE and _several():
            reason = "several processes train together, of which only the first is watched"
            self.tell("refused", reason=f"{order.command}: {reason}.", **order.detail)
            self.work.summarize(note=f"No {order.command}: {reason}.")
        elif order.command == "measure" and self._why_here is not None:
            self._measure_here(asked=True)
        elif order.command == SET_PACE and order.detail[PACE] not in (FAST, OFF):
            self.tell("refused", reason="pace: a watched loop takes fast or off.")
        else:
            super().follow(order)

    def carry_out(self, order: Order) -> None:
        """Obey an order that is not about the steps themselves."""
        if order.command == "change":
            self._change(order.detail)

    def _change(self, detail: dict[str, Any]) -> None:
        values = values_of(detail)
        beside = {name: value for name, value in detail.items() if name not in values}
        was: dict[str, Any] = {}
        for name in ("lr", "rho"):
            if name not in values or (old := leading(self.optimizer, name)) is None:
                continue
            was[name] = _plain(old)
            for group, share in zip(*self._proportions(name), strict=True):
                group[name] = values[name] * share
        if "lam_held" in values and isinstance(self.optimizer, SAMAR):
            was["lam_held"] = self.optimizer.held
            self.optimizer.hold(values["lam_held"])
        if was:
            self.note_edit({name: values[name] for name in was} | beside | {WAS: was})
        if missing := [name for name in values if name not in was]:
            reason = f"change: the script's optimizer has no {' or '.join(missing)}."
            self.tell("refused", reason=reason, **beside)

    def _proportions(self, name: str) -> tuple[list[dict[str, Any]], list[Any]]:
        """The groups with a number, and what theirs are to the leading one.

        Where that is 0, what they were when it last was not.
        """
        groups = [g for g in self.optimizer.param_groups if g.get(name) is not None]
        if lead := leading(self.optimizer, name):
            self._shares[name] = [1.0 if g[name] == lead else g[name] / lead for g in groups]
        known = self._shares.get(name, [])[: len(groups)]
        return groups, known + [1.0] * (len(groups) - len(known))

    def save(self) -> None:
        """Nothing: the script keeps its own checkpoints."""

    def _wait_for_place(self) -> None:
        if self.work.store.unpause(self.work.job, sys.maxsize):
            self.paused = False
            self.tell("resumed")

    def end(self, status: str = "finished", message: str = "", whole: bool = True) -> None:
        """Write what is left, measure a last time, and say how the run ended.

        Args:
            whole: whether the loop came to its end.
        """
        if self._hook is not None:
            self._hook.remove()
        self.write()
        try:
            if whole and self.observing is not None:
                self.observing.last(self._step, self._waits, LAST_SECONDS)
                if self._why_here is None and self.observing.newest(0) != self._step:
                    self._why_here = ""  # it is over before the observer has begun
            if whole:
                self._measure_here()
        finally:
            if self.observing is not None:
                self.observing.close()
            if self._told_to_stop:
                self.work.summarize(note="" if status == "stopped" else NOT_STOPPED)
            self.work.end(status, message or self._note)

    def _waits(self) -> bool:
        time.sleep(HELD_SECONDS)
        return not self.work.lost


def leading(optimizer: Optimizer, name: str, missing: Any = None) -> Any:
    """A number of the first group of parameters where it is not 0, which the others follow."""
    values = [group[name] for group in optimizer.param_groups if name in group]
    return next((value for value in values if value), values[0] if values else missing)


def _number(loss: Any) -> Tensor | float | None:
    """A step's loss as one number; None if it is none."""
    if isinstance(loss, Tensor):
        return None if loss.dim() or loss.is_meta else loss
    with suppress(Exception):
        if isinstance(loss, Real) or getattr(loss, "shape", None) == ():
            return float(loss)
    return None


def _wrong(loss: Any) -> str:
    """What is wrong with a step's loss, in a sentence."""
    shape = tuple(getattr(loss, "shape", ()))
    what = f"of shape {shape}" if shape else repr(loss)[:40]
    return f"run.step was given a loss that is {what}; it is not recorded: give one number."


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


def _several() -> bool:
    """Whether other processes train with this one."""
    group = torch.distributed
    return group.is_available() and group.is_initialized() and group.get_world_size() > 1
