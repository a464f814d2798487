"""Watch a training loop of somebody else: live curves, sharpness, λ, eigenvalues, landscape.

    with samar.watch(model, optimizer, sample=(x, y)) as run:
        for x, y in loader:
            …
            optimizer.step()
            run.step(loss)

Two rules hold. The training stays the same, bit for bit: what is measured is a copy, or is put
back, the random states too; only a person's edit in the browser changes anything. And it never
ends because of samar: whatever goes wrong here becomes one warning.
"""

import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from samar.data.given import Loss, objective_of
from samar.data.objective import BatchLoss
from samar.device.catalog import gathered
from samar.errors import ConfigError, SamarError
from samar.jobs.pace import FAST, OFF
from samar.jobs.store import Store
from samar.jobs.training_records import NAN
from samar.jobs.work import JobLost, Work
from samar.kinds.watch import WatchSettings, running_script
from samar.models.guard import unwrapped
from samar.optim.catalog import OPTIMIZERS
from samar.optim.samar import SAMAR
from samar.optim.two_pass import TwoPassOptimizer, bare
from samar.script.recorder import Recorder, leading

PACES = (FAST, OFF)
PATIENCE_SECONDS = 2.0
"""For which a training waits for a store that is busy, at its start or at its end."""


def watch(
    model: nn.Module,
    optimizer: Optimizer,
    *,
    loss: Loss | None = None,
    sample: Any = None,
    forward: BatchLoss | None = None,
    name: str = "",
    pace: str = FAST,
    steps: float | None = None,
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
        pace: ``fast`` measures them as often as an observer beside the loop manages, ``off`` not.
        steps: of the whole training, to show how far it is; rounded up.
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
    return WatchedRun(model, optimizer, loss, sample, forward, name, pace, steps, store, quiet)


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
        pace: str,
        steps: float | None,
        store: Store | None,
        quiet: bool,
    ) -> None:
        self._model, self._optimizer = model, bare(optimizer)
        self._asked = (loss, sample, forward)
        self._name, self._pace, self._total, self._quiet = name, pace, steps, quiet
        self._store = store
        self._recorder: Recorder | None = None
        self._warned = self._entered = self._looked = False
        self.id: str | None = None

    def __enter__(self) -> "WatchedRun":
        self._entered = True
        if _is_first_process():
            self._safely(self._begin)
        if self._recorder is not None and self._total is not None:
            recorder, total = self._recorder, self._total
            self._safely(lambda: recorder.expect(total))
        return self

    def _begin(self) -> None:
        if self._pace not in PACES:
            told = repr(self._pace)[:40]
            raise ConfigError(f"pace is {told}; a watched loop takes {' or '.join(PACES)}.")
        store = self._store or Store()
        settings = _described(self._model, self._optimizer, self._name)
        job = store.get(store.create(settings, here=True))
        store.adopt(job)
        work = Work(store, job, PATIENCE_SECONDS)
        self._recorder = Recorder(work, unwrapped(self._model), self._optimizer)
        self.id = job.id
        work.__enter__()
        self._recorder.begin()
        if not self._quiet:
            told = f"samar watches this run as {job.id}. See it live: samar app, then Jobs"
            with suppress(OSError):
                print(told, file=sys.stderr, flush=True)
        loss, sample, forward = self._asked
        if sample is None:
            return
        try:
            network = unwrapped(self._model)
            objective = objective_of(network, loss, sample, forward=forward)
            self._recorder.observe_on(objective, self._pace)
        except Exception as error:
            self._recorder.miss(why := _not_measured(error))
            raise ConfigError(why) from error

    def step(self, loss: Tensor | float | None = None) -> None:
        """Tell that a step was taken; call it after ``optimizer.step()``.

        Args:
            loss: of the mini-batch, 0-dim; it is not waited for. Of samar's optimizers it is known.
        """
        if self._recorder is not None:
            recorder = self._recorder
            self._safely(lambda: recorder.step(loss))
        elif not self._entered:
            self._entered = True
            _warn("samar: nothing is watched: put the loop into 'with samar.watch(…) as run:'.")

    def epoch(
        self,
        *,
        train_loss: float | None = None,
        train_accuracy: float | None = None,
        test_loss: float | None = None,
        test_accuracy: float | None = None,
        **unknown: float,
    ) -> None:
        """Tell what was evaluated after a pass over the data.

        Args:
            train_loss, test_loss: mean losses.
            train_accuracy, test_accuracy: shares between 0 and 1; each None where it is not known.
            unknown: nothing else is known, and one warning says so.
        """
        found = (train_loss, test_loss, train_accuracy, test_accuracy)
        if self._recorder is not None:
            recorder = self._recorder
            self._safely(lambda: recorder.epoch(*(NAN if v is None else float(v) for v in found)))
            if unknown:
                self._safely(lambda: _refuse(unknown))

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the run to stop."""
        self._looked = True
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
        stopped = recorder.work.stopping and self._looked
        status, message = "stopped" if stopped else "finished", ""
        if isinstance(error, SystemExit) and error.code in (None, 0):  # the script's own end
            kind = None
        if kind is not None:
            status = "stopped" if issubclass(kind, KeyboardInterrupt) else "failed"
            message = ": ".join(filter(None, (kind.__name__, str(error))))[:500]
        self._safely(lambda: recorder.end(status, message, whole=kind is None))
        self._safely(lambda: recorder.work.__exit__())

    def _safely(self, act: Callable[[], object]) -> None:
        """Do it; if it fails, say so once and watch no more than still works."""
        try:
            act()
        except Exception as error:
            if not self._warned:
                self._warned = True
                what = str(error) if isinstance(error, SamarError) else f"{error!r}."
                lost = "" if self._recorder else "this run is not watched: "
                _warn(f"samar: {lost}{what} The training goes on.")
            if isinstance(error, JobLost):
                self._recorder = None


def _not_measured(error: Exception) -> str:
    """Why there will be no landscapes and eigenvalues."""
    what = str(error) if isinstance(error, SamarError) else f"{type(error).__name__}: {error}"
    return f"Landscape and eigenvalues are not measured: {what[:300].rstrip('.')}."


def _refuse(unknown: Mapping[str, Any]) -> None:
    names = ", ".join(unknown)
    raise ConfigError(
        f"run.epoch does not know {names[:60]}; give train_loss, train_accuracy, test_loss or "
        "test_accuracy."
    )


def _warn(sentence: str) -> None:
    """Warn, also where warnings are errors: those would end the training."""
    try:
        warnings.warn(sentence, RuntimeWarning, stacklevel=4)
    except RuntimeWarning:
        print(sentence, file=sys.stderr)


def _described(model: nn.Module, optimizer: Optimizer, name: str) -> WatchSettings:
    """A run's settings, as far as model and optimizer tell them."""
    network, rate = unwrapped(model), leading(optimizer, "lr")
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
    values["lr"] = None if rate is None else float(rate)
    if isinstance(optimizer, TwoPassOptimizer):
        values["rho"] = float(leading(optimizer, "rho"))
    known: Mapping[str, Any] = {
        "name": name,
        "optimizer": kind,
        "base": type(base).__name__,
        "network": type(network).__name__,
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "script": running_script(),
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
