"""Weights kept through a run, evenly over its epochs, so that its path can be drawn afterwards."""

from collections.abc import Mapping

from torch import Tensor

from samar.errors import RunError
from samar.runs.paths import SNAPSHOT, snapshot_path
from samar.runs.series import RunSeries
from samar.runs.store import Run
from samar.training import Trainer, load_weights, save_weights

BUDGET_BYTES = 512 << 20
"""Disk that the snapshots of one run may take; of a large network fewer are kept."""


class Snapshots:
    """Writes the weights before the first step and after evenly chosen epochs.

    Args:
        count: how many to keep besides those before the first step; 0 keeps none at all.
    """

    def __init__(self, series: RunSeries, run: Run, count: int) -> None:
        self._series, self._run, self._count = series, run, count

    def after_epoch(self, trainer: Trainer, epoch: int) -> None:
        """Keep the weights if this epoch, 0 before the first step, is one of the chosen."""
        epochs = trainer.config.epochs
        size = sum(t.numel() * t.element_size() for t in trainer.model.state_dict().values())
        count = min(self._count, BUDGET_BYTES // max(size, 1), epochs)
        chosen = epoch * count // epochs > (epoch - 1) * count // epochs
        if count and (epoch == 0 or chosen):
            step = trainer.step_count
            path = snapshot_path(self._run.id, step)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_weights(trainer.model, path, {"model": trainer.config.model, "step": str(step)})
            self._series.add_artifact(self._run.key, SNAPSHOT, step, path.name)


def load_snapshot(run: Run, step: int) -> Mapping[str, Tensor]:
    """The network's ``state_dict`` at a step.

    Raises:
        RunError: nothing was kept there.
    """
    path = snapshot_path(run.id, step)
    if not path.is_file():
        kept = sorted(int(p.stem.rpartition("-")[2]) for p in path.parent.glob("*.safetensors"))
        steps = ", ".join(map(str, kept)) or "none"
        raise RunError(
            f"Run {run.id} kept no weights at step {step}; the steps that it kept: {steps}."
        )
    return load_weights(path)
