"""One run in several processes, each on its part of every mini-batch.

The first process leads: whatever its trainer does that the network depends on, the others are told
to do too, before it does so itself. It alone evaluates, measures, records and saves, while they
wait. So pauses, edits and resumes are those of one process. They end with it: a connection that
breaks ends all.

Reference:
    Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", VLDB 2020,
    arXiv 2006.15704.
"""

import os
from contextlib import suppress
from typing import Any

import torch

from samar.data.dataset import Dataset
from samar.device.ranks import Group, join, lost, tell
from samar.errors import RunError, SamarError
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

GONE = (
    "One of the processes that train together is gone; resume the run to go on from its last saved "
    "state."
)


class Leader(Trainer):
    """The trainer of the first process.

    Args:
        config: what to train and how; ``ranks`` is the size of the group.
        dataset: the images.
        group: of processes that run :func:`follow`.
    """

    def __init__(self, config: TrainSettings, dataset: Dataset, group: Group) -> None:
        self._group = group
        self._tell(config.model_dump_json())
        super().__init__(config, dataset, group)

    def step(self) -> None:
        """Take one step together.

        Raises:
            RunError: another process is gone.
        """
        self._tell("step", {})
        try:
            super().step()
        except RuntimeError as error:
            raise self._gone(error) from None

    def change(self, **values: Any) -> None:
        """As in the base class, in every process."""
        self.config.changed_live(**values)  # what is refused here is never told
        self._tell("change", values)
        super().change(**values)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As in the base class, in every process."""
        self._tell("load_state_dict", {"state": state})
        super().load_state_dict(state)

    def end(self) -> None:
        """Let the others end."""
        with suppress(RunError):
            self._tell(None)
        self.leave()

    def _tell(self, *message: Any) -> None:
        try:
            tell(message, self._group)
        except RuntimeError as error:
            raise self._gone(error) from None

    def _gone(self, error: RuntimeError) -> Exception:
        if not lost(error):
            return error
        return RunError(GONE)


def follow() -> None:
    """What each process but the first does: as the first tells, until it ends."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    group = join()
    (settings,) = tell(None, group)
    config = TrainSettings.model_validate_json(settings)
    trainer = Trainer(config, dataset_of(config), group)
    try:
        while (message := tell(None, group))[0] is not None:
            name, arguments = message
            with suppress(SamarError):  # the first says so
                getattr(trainer, name)(**arguments)
            trainer.forget()
    finally:
        trainer.leave()


if __name__ == "__main__":
    follow()
