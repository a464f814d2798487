"""A training run from elsewhere, put into the store as it is."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from samar.jobs import schema
from samar.jobs.records import (
    EPOCH_COLUMNS,
    STEP_COLUMNS,
    Artifact,
    Columns,
    Event,
    insert_events,
)
from samar.jobs.store import Store, new_row
from samar.settings.command import json_line
from samar.training.settings import TrainSettings


@dataclass(frozen=True, eq=False)
class Foreign:
    """Everything about a run from another store.

    Attributes:
        id: kept if no run here has it.
        status: one that is not active.
        steps, epochs: columns as :class:`samar.jobs.records.Records` gives them.
    """

    id: str
    settings: TrainSettings
    status: str
    message: str
    created: float
    started: float | None
    finished: float | None
    total: int | None
    device: str | None
    tags: tuple[str, ...]
    steps: Columns
    epochs: Columns
    events: Sequence[Event]


def free_id(store: Store, wanted: str) -> str:
    """The wanted id, or a new one if a job here has it."""
    with store.database.read() as db:
        taken = db.execute(sa.select(schema.jobs.c.key).where(schema.jobs.c.id == wanted)).scalar()
    return wanted if taken is None else secrets.token_hex(4)


def adopt(store: Store, run: Foreign, run_id: str, artifacts: Sequence[Artifact] = ()) -> None:
    """Insert a run with its records under an id that is free, in one transaction."""
    columns = run.epochs
    last = {n: column[-1].item() for n, column in columns.items()} if len(columns["step"]) else None
    values = new_row(run.settings) | {
        "id": run_id,
        "status": run.status,
        "message": run.message,
        "created": run.created,
        "started": run.started,
        "finished": run.finished or time.time(),
        "done": int(max([0, *run.steps["step"][-1:]])),
        "total": run.total,
        "device": run.device,
        "tags": " ".join(run.tags),
        "summary": json_line({"epoch": whole(last)} if last else {}),
    }
    with store.database.write() as db:
        db.execute(schema.jobs.insert().values(**values))
        same = schema.jobs.c.id == run_id
        key = db.execute(sa.select(schema.jobs.c.key).where(same)).scalar_one()
        for table, names, found in (
            (schema.steps, STEP_COLUMNS, run.steps),
            (schema.epochs, EPOCH_COLUMNS, run.epochs),
        ):
            if rows := _rows(key, names, found):
                db.execute(table.insert(), rows)
        insert_events(db, key, run.events)
        files = [
            {"job": key, **vars(artifact), "summary": json_line(artifact.summary)}
            for artifact in artifacts
        ]
        if files:
            db.execute(schema.artifacts.insert(), files)


def whole(epoch: dict[str, float]) -> dict[str, float]:
    """Counts as whole numbers, which columns of float64 hold exactly."""
    counts = ("epoch", "step", "grad_evals", "train_images")
    return {n: int(v) if n in counts else v for n, v in epoch.items()}


def _rows(key: int, names: Sequence[str], columns: Columns) -> list[dict[str, Any]]:
    """NaN is stored as NULL; whole numbers in their columns are exact in float64."""
    lists = [
        [
            None if missing else value
            for value, missing in zip(column, np.isnan(column), strict=True)
        ]
        for column in (columns[name].tolist() for name in names)
    ]
    return [{"job": key, **dict(zip(names, row, strict=True))} for row in zip(*lists, strict=True)]
