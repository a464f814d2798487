"""TensorBoard event files of a run, by TensorBoard's own writer, without torch."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from samar.errors import ConfigError, DataError
from samar.exchange.archive import manifest_of
from samar.jobs.job import Job
from samar.jobs.records import CURVATURE, measurements
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


def require_tensorboard() -> None:
    """Make sure that event files can be written.

    Raises:
        ConfigError: the package tensorboard is not installed.
    """
    if not can_write_tensorboard():
        raise ConfigError(
            "TensorBoard files need the package tensorboard; install it with: "
            "pip install tensorboard"
        )


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
    require_tensorboard()
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.text.summary import text_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    target = folder / f"{run.settings.optimizer}-{run.id}"
    if target.exists():
        raise DataError(f"{target} exists already; choose another folder or remove it.")
    begin = run.started or run.created
    try:
        writer = EventFileWriter(str(target))
    except OSError as error:
        raise DataError(f"{target} cannot be written ({error.strerror or error}).") from None

    def scalar(tag: str, value: float, step: float, at: float) -> None:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
        writer.add_event(Event(wall_time=at, step=int(step), summary=summary))

    try:
        facts = json.dumps(manifest_of(store, run), indent=2, ensure_ascii=False)
        texts = {"config": run.settings.model_dump_json(indent=2), "manifest": facts}
        for name, text in texts.items():
            summary = text_pb(f"{name}/text_summary", _code(text))
            writer.add_event(Event(wall_time=begin, step=0, summary=summary))
        for tags, columns in (
            (STEP_TAGS, store.records.steps(run.key)),
            (EPOCH_TAGS, store.records.epochs(run.key)),
        ):
            steps, times = columns["step"], begin + columns["seconds"]
            for name, tag in tags.items():
                kept = np.isfinite(columns[name])
                for found in zip(columns[name][kept], steps[kept], times[kept], strict=True):
                    scalar(tag, *map(float, found))
        for event in measurements(store.records.events(run.key), CURVATURE):
            scalar("hessian/lambda_max", event.detail["values"][0], event.step, event.at)
            for name in ("trace", "edge", "gradient_share", "kappa", "kappa_expected"):
                if (value := event.detail.get(name)) is not None:
                    scalar(f"hessian/{name}", value, event.step, event.at)
    finally:
        writer.close()
    return target


def _code(text: str) -> str:
    """Markdown that shows JSON as it is; its strings cannot end the block."""
    return "\n".join(f"    {line}" for line in text.splitlines())
