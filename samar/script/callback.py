"""The part that the callbacks for Lightning and Hugging Face share."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import torch
from torch import Tensor

from samar.errors import ConfigError, not_installed
from samar.jobs.training_records import NAN
from samar.script.watch import WatchedRun


def require(extra: str, *names: str) -> Any:
    """Import the first of some modules that is installed.

    Args:
        extra: of ``samar-lab``, which brings the first of them.
        names: modules, the preferred one first.

    Raises:
        ImportError: none is installed; the message says what to install.
    """
    for name in names:
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name and not name.startswith(f"{error.name}."):
                raise  # it is there, and misses something of its own
    raise ImportError(not_installed(names[0].partition(".")[0], extra)) from None


class RunningMean:
    """Mean of the losses since it was last drawn; no device is waited for."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._count = 0

    def add(self, loss: Tensor) -> None:
        """Take one more into account, 0-dim."""
        loss = loss.to(torch.promote_types(loss.dtype, torch.float32))
        self._sum = loss if self._sum is None else self._sum + loss
        self._count += 1

    def drawn(self) -> Tensor | None:
        """The mean, 0-dim, of which it then knows nothing any more; None of no loss."""
        mean = None if self._sum is None else self._sum / self._count
        self._sum, self._count = None, 0
        return mean


class WatchingCallback:
    """A framework's callback that watches its training.

    Args:
        metrics: names of the framework's own metrics, where they are not the usual ones.
        asked: what :func:`samar.watch` is asked besides network, optimizer and steps.

    Attributes:
        METRICS: the usual names, by what samar calls the metrics.
        run: the watched run, from the start of the training on.

    Raises:
        ConfigError: ``metrics`` has another key.
    """

    METRICS: ClassVar[Mapping[str, str]] = {}

    def __init__(self, metrics: Mapping[str, str] | None, **asked: Any) -> None:
        if unknown := set(metrics or ()) - set(self.METRICS):
            raise ConfigError(
                f"There is no metric {sorted(unknown)[0]!r}; choose from {', '.join(self.METRICS)}."
            )
        self._asked = asked
        self._metrics = {**self.METRICS, **(metrics or {})}
        self.run: WatchedRun | None = None
        self._hooks: list[Any] = []
        self._losses = RunningMean()
        self._due = False

    def _tell_epoch(self, known: Mapping[str, Any]) -> None:
        """Record the epoch that is due, if one is: the mean loss of its steps, and what is known.

        To be called before the next step.
        """
        if self.run is None or not self._due:
            return
        self._due = False
        values = {ours: float(known.get(theirs, NAN)) for ours, theirs in self._metrics.items()}
        mean = self._losses.drawn()
        self.run.epoch(train_loss=NAN if mean is None else float(mean), **values)

    def end(self, error: BaseException | None = None) -> None:
        """End the run, if there is one; with an error it failed."""
        while self._hooks:
            self._hooks.pop().remove()
        if self.run is not None:
            self.run.__exit__(type(error) if error else None, error, None)
