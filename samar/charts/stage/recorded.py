"""A recorded run as the stage shows it: the tables, planes and eigenvalues of a job's records."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from samar.charts.stage.feed import StageRun, coded
from samar.charts.stage.still import still
from samar.jobs.records import CHANGE, CURVATURE, EPOCH_COLUMNS, PLANE, STEP_COLUMNS, Event
from samar.recordings import Columns, RecordedRun
from samar.training.settings import TrainSettings

MEMORIZED = "memorized"
"""The share of wrong labels that a network gives back, where a recording has it."""


def memorized(run: RecordedRun) -> float:
    """The share of wrong labels that the network gave back at the end, in percent."""
    return 100 * float(run.epochs[MEMORIZED][-1])


def recorded_run(
    run: RecordedRun, label: str, images: int = 0, points: int | None = None
) -> StageRun:
    """A run of the stage with what was recorded.

    Args:
        images: of how many each plane is.
        points: along a side of a plane, around the network; all that there are if None.
    """
    return StageRun(
        id=label,
        label=label,
        settings=TrainSettings.parse(run.config),
        steps=_filled(run.steps, STEP_COLUMNS),
        epochs=_filled(run.epochs, EPOCH_COLUMNS),
        events=[
            *(Event(step, CHANGE, dict(values), step) for step, values in run.changes),
            *_planes(run, images, points),
            *_eigenvalues(run),
        ],
    )


def recorded_stage(
    runs: Sequence[RecordedRun], shown: Sequence[StageRun], keys: Sequence[str]
) -> dict[str, Any]:
    """What the stage is told of recorded runs, with the share of wrong labels they memorize.

    Args:
        shown: the same runs as those of the stage.
        keys: of the tiles that it has.
    """
    message = still(shown)
    for run, part in zip(runs, message["members"], strict=True):
        if MEMORIZED in run.epochs:
            part["tables"]["epochs"]["columns"][MEMORIZED] = coded(run.epochs[MEMORIZED])
    return message | {"spec": [tile for tile in message["spec"] if tile["key"] in keys]}


def _filled(columns: Columns, names: Sequence[str]) -> dict[str, Any]:
    nothing = np.full(len(columns.get("step", ())), np.nan)
    return {name: columns.get(name, nothing) for name in names}


def _planes(run: RecordedRun, images: int, points: int | None) -> list[Event]:
    if (film := run.film) is None:
        return []
    cut = (len(film.axes[0]) - (points or len(film.axes[0]))) // 2
    inner = slice(cut, len(film.axes[0]) - cut)
    axis = film.axes[0][inner].tolist()
    planes = []
    for at, (step, loss) in enumerate(zip(film.steps, film.loss, strict=True), 1):
        detail = {"axis": axis, "loss": loss[inner, inner].tolist(), "images": images}
        planes.append(Event(int(step), PLANE, detail, at))
    return planes


def _eigenvalues(run: RecordedRun) -> list[Event]:
    looks = run.looks
    return [
        Event(int(step), CURVATURE, {"values": values.tolist(), "lr": float(lr)}, n)
        for n, (step, values, lr) in enumerate(
            zip(*(looks.get(name, ()) for name in ("step", "values", "lr")), strict=True), 1
        )
    ]
