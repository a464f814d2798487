"""TensorBoard event files of a run, by PyTorch's own writer."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from samar.errors import ConfigError, DataError
from samar.exchange.manifest import manifest_of
from samar.jobs.job import Job
from samar.jobs.store import Store

EPOCH_TAGS = {
    "train_loss": "loss/train",
    "test_loss": "loss/test",
    "val_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "test_accuracy": "accuracy/test",
    "val_accuracy": "accuracy/validation",
    "gap": "generalization_gap",
}
STEP_TAGS = {
    "loss": "step/loss",
    "perturbed_loss": "step/perturbed_loss",
    "sharpness": "step/sharpness",
    "ratio": "step/sharpness_ratio",
    "lam": "step/lambda",
    "grad_norm": "step/gradient_norm",
    "lr": "step/learning_rate",
    "grad_evals": "step/gradient_evaluations",
}


def can_write_tensorboard() -> bool:
    """Whether the optional package is installed."""
    return find_spec("tensorboard") is not None


def write_tensorboard(store: Store, run: Job, folder: Path) -> Path:
    """Write every record of a run as scalars over steps, into a folder of its own.

    A record's wall time is the run's start plus its training seconds. TensorBoard keeps scalars as
    float32.

    Args:
        folder: what ``tensorboard --logdir`` is pointed at; the run gets a sub-folder.

    Returns:
        The sub-folder.

    Raises:
        ConfigError: the package tensorboard is not installed.
        DataError: the folder cannot be written, or has this run already.
    """
    if not can_write_tensorboard():
        raise ConfigError(
            "TensorBoard files need the package tensorboard; install it with: "
            "pip install tensorboard"
        )
    from torch.utils.tensorboard import SummaryWriter

    target = folder / f"{run.settings.optimizer}-{run.id}"
    if target.exists():
        raise DataError(f"{target} exists already; choose another folder or remove it.")
    begin = run.started or run.created
    try:
        writer = SummaryWriter(str(target))
    except OSError as error:
        raise DataError(f"{target} cannot be written ({error.strerror or error}).") from None
    with writer:
        writer.add_text("config", _code(run.settings.model_dump_json(indent=2)), 0, begin)
        facts = json.dumps(manifest_of(store, run), indent=2, ensure_ascii=False)
        writer.add_text("manifest", _code(facts), 0, begin)
        for tags, columns in (
            (STEP_TAGS, store.records.steps(run.key)),
            (EPOCH_TAGS, store.records.epochs(run.key)),
        ):
            steps, times = columns["step"], begin + columns["seconds"]
            for name, tag in tags.items():
                kept = np.isfinite(columns[name])
                for value, step, at in zip(
                    columns[name][kept], steps[kept], times[kept], strict=True
                ):
                    writer.add_scalar(tag, value, int(step), walltime=float(at))
        for event in store.records.events(run.key):
            if event.kind == "curvature":
                numbers = {"trace": event.detail["trace"], "lambda_max": event.detail["values"][0]}
                for name, value in numbers.items():
                    writer.add_scalar(f"hessian/{name}", value, event.step, walltime=event.at)
    return target


def _code(text: str) -> str:
    """Markdown that shows JSON as it is; its strings cannot end the block."""
    return "\n".join(f"    {line}" for line in text.splitlines())
