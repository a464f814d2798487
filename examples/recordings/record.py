"""Making a recording: a training run whose network is measured between the epochs.

Measurements leave the network bit for bit as it was, so a recorded run takes the same steps as the
same settings trained by ``python -m samar train``.
"""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from samar.curvature.product import hessian_of
from samar.curvature.solvers.eigenvalues import top_of
from samar.data.dataset import Dataset
from samar.data.sample import Sample
from samar.device.catalog import CPU
from samar.device.placement import described
from samar.device.precision import full_precision
from samar.device.waiting import on_host
from samar.jobs.training_records import EpochRecord, StepRecord
from samar.landscapes.frame import random_frame
from samar.landscapes.sampler import plane
from samar.models.guard import undisturbed
from samar.recordings import Columns, PlaneOverTime, RecordedRun
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer
from samar.version import __version__

EIGENVALUES, TOLERANCE, MAX_PRODUCTS = 3, 1e-2, 60
CURVATURE_IMAGES = LANDSCAPE_IMAGES = 128


@dataclass(frozen=True)
class Watch:
    """What is measured while a run trains.

    Attributes:
        steps: whether every step is kept.
        eigenvalues_every: epochs between two measurements of the top eigenvalues; 0 for none.
        plane_every: epochs between two planes of the loss, beside the one before the first step.
        plane_points: along each axis of a plane.
        labels: right labels of the training images (n,), on the CPU, to tell how many wrong ones
            were learned.
        changes: settings to change before a step, as (step, {setting: value}).
    """

    steps: bool = True
    eigenvalues_every: int = 0
    plane_every: int = 0
    plane_points: int = 17
    labels: Tensor | None = None
    changes: Sequence[tuple[int, Mapping[str, float]]] = ()


def record_run(config: TrainSettings, watch: Watch) -> tuple[RecordedRun, Trainer]:
    """Train to the end and keep what was asked for.

    Returns:
        The record, and the trainer with the trained network.
    """
    started = time.perf_counter()
    data = dataset_of(config)
    trainer = Trainer(config, data)
    steps: list[StepRecord] = []
    epochs: list[EpochRecord] = []
    wrong: list[tuple[float, float]] = []
    looks: list[dict[str, Any]] = []
    planes: list[tuple[int, Any]] = []
    vectors: Tensor | None = None
    if watch.plane_every:
        planes.append((0, _plane(trainer, watch)))
    changes = dict(watch.changes)
    while not trainer.finished:
        if changed := changes.get(trainer.step_count):
            trainer.change(**changed)
        trainer.step()
        if not trainer.at_epoch_end:
            continue
        steps += trainer.drain()
        if trainer.divergence is not None:
            break
        epochs.append(trainer.evaluate_epoch())
        if watch.labels is not None:
            wrong.append(learned(trainer.model, trainer.dataset, watch.labels))
        epoch = epochs[-1].epoch
        if watch.eigenvalues_every and epoch % watch.eigenvalues_every == 0:
            found, vectors = _eigenvalues(trainer, vectors)
            looks.append(found)
        if watch.plane_every and epoch % watch.plane_every == 0:
            planes.append((trainer.step_count, _plane(trainer, watch)))
    columns = _columns(epochs)
    if wrong:
        columns["memorized"], columns["recovered"] = np.array(wrong).T
    last = epochs[-1] if epochs else None
    ending = "finished" if trainer.divergence is None else str(trainer.divergence)
    print(
        f"  {config.optimizer} seed {config.seed}: "
        + (f"train {last.train_accuracy:.3f}, test {last.test_accuracy:.3f}, " if last else "")
        + f"{ending}, {time.perf_counter() - started:.0f} s",
    )
    run = RecordedRun(
        config=config.model_dump(),
        steps=_columns(steps) if watch.steps else {},
        epochs=columns,
        looks={name: np.array([look[name] for look in looks]) for name in (looks or [{}])[0]},
        film=_over_time(planes),
        changes=tuple((step, dict(values)) for step, values in watch.changes),
        ending=ending,
    )
    return run, trainer


def learned(model: nn.Module, data: Dataset, right: Tensor) -> tuple[float, float]:
    """Of the training images with a wrong label: shares answered with the wrong, the right one."""
    answers = answers_of(model, data)
    given = on_host(data.train.labels)
    wrong = given != right
    if not wrong.any():
        return float("nan"), float("nan")
    memorized = (answers == given)[wrong].double().mean()
    recovered = (answers == right)[wrong].double().mean()
    return float(memorized), float(recovered)


def answers_of(model: nn.Module, data: Dataset) -> Tensor:
    """The class that the network gives each training image (n,), in eval mode; on the CPU."""
    sample = Sample.of(data.train, data.normalization)
    with undisturbed(model), torch.no_grad(), full_precision():
        found = [model(x).argmax(1) for x, _ in sample.batches(CURVATURE_IMAGES)]
    return on_host(torch.cat(found))


def manifest(about: str, data: Trainer | Dataset | str, note: str = "") -> dict[str, Any]:
    """The origin of a recording, as plain values.

    Args:
        about: what it shows.
        data: what was learned from; of a trainer also the device is noted, else it is the CPU.
        note: stands behind the data's checksum.
    """
    where = described(torch.device(CPU))
    if isinstance(data, Trainer):
        where, data = str(data.placement), data.dataset
    if isinstance(data, Dataset):
        data = f"{data.name}, SHA-256 {data.checksum}{note}"
    return {
        "about": about,
        "made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "samar": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "device": where,
        "data": data,
    }


def _eigenvalues(trainer: Trainer, start: Tensor | None) -> tuple[dict[str, Any], Tensor]:
    with hessian_of(trainer.model, trainer.sample(CURVATURE_IMAGES)) as hessian:
        top = top_of(hessian, k=EIGENVALUES, tol=TOLERANCE, max_products=MAX_PRODUCTS, start=start)
    lr = trainer.optimizer.param_groups[0]["lr"]
    found = {"step": trainer.step_count, "lr": lr, "values": top.values, "residuals": top.residuals}
    return found, top.vectors


def _plane(trainer: Trainer, watch: Watch) -> Any:
    axes = random_frame(trainer.model, seed=trainer.config.seed).axes
    sample = trainer.sample(LANDSCAPE_IMAGES)
    return plane(trainer.model, sample, axes, points=watch.plane_points, chunk=LANDSCAPE_IMAGES)


def _over_time(planes: Sequence[tuple[int, Any]]) -> PlaneOverTime | None:
    if not planes:
        return None
    return PlaneOverTime(
        axes=np.array(planes[0][1].axes),
        steps=np.array([step for step, _ in planes]),
        loss=np.array([landscape.loss for _, landscape in planes]),
    )


def _columns(records: Sequence[StepRecord] | Sequence[EpochRecord]) -> Columns:
    if not records:
        return {}
    rows = [asdict(record) for record in records]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {name: column for name, column in columns.items() if not _empty(column)}


def _empty(column: Any) -> bool:
    return column.dtype.kind == "f" and not np.isfinite(column).any()
