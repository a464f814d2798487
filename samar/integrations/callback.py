"""What the callbacks of both frameworks share: what a run is asked, and what it is told."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from samar.errors import ConfigError
from samar.script.watch import WatchedRun
from samar.training.records import NAN


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
        self._hook: Any = None
        self._losses: list[Tensor] = []
        self._due = False

    def _tell_epoch(self, known: Mapping[str, Any]) -> None:
        """Record the epoch that is due, if one is: the mean loss of its steps, and what is known.

        To be called before the next step.
        """
        if self.run is None or not self._due:
            return
        self._due = False
        values = {ours: float(known.get(theirs, NAN)) for ours, theirs in self._metrics.items()}
        self.run.epoch(train_loss=_mean(self._losses), **values)
        self._losses = []

    def end(self, error: BaseException | None = None) -> None:
        """End the run, if there is one; with an error it failed."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        if self.run is not None:
            self.run.__exit__(type(error) if error else None, error, None)


def _mean(losses: Sequence[Tensor]) -> float:
    return float(torch.stack(list(losses)).mean()) if losses else NAN
