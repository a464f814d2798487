"""A run that was trained elsewhere, put into the store as it is."""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from samar.runs import schema
from samar.runs.config import RunConfig
from samar.runs.series import EPOCH_COLUMNS, STEP_COLUMNS, Artifact, Columns, Event
from samar.runs.store import Store


@dataclass(frozen=True, eq=False)
class Foreign:
    """Everything about a run from another store.

    Attributes:
        id: kept if no run here has it.
        status: one that is not active.
        steps, epochs: columns as :class:`samar.runs.series.RunSeries` gives them.
    """

    id: str
    config: RunConfig
    status: str
    message: str
    created: float
    started: float | None
    finished: float | None
    total_steps: int | None
    device: str | None
    tags: tuple[str, ...]
    steps: Columns
    epochs: Columns
    events: Sequence[Event]


def free_id(store: Store, wanted: str) -> str:
    """The wanted id, or a new one if a run here has it."""
    with store.database.read() as db:
        taken = db.execute(sa.select(schema.runs.c.key).where(schema.runs.c.id == wanted)).scalar()
    return wanted if taken is None else secrets.token_hex(4)


def adopt(store: Store, run: Foreign, run_id: str, artifacts: Sequence[Artifact] = ()) -> None:
    """Insert a run with its records under an id that is free, in one transaction."""
    values = {
        "id": run_id,
        "name": run.config.name,
        "config": run.config.model_dump_json(),
        "status": run.status,
        "message": run.message,
        "created": run.created,
        "started": run.started,
        "finished": run.finished or time.time(),
        "total_steps": run.total_steps,
        "device": run.device,
        "tags": " ".join(run.tags),
    }
    with store.database.write() as db:
        db.execute(schema.runs.insert().values(**values))
        same = schema.runs.c.id == run_id
        key = db.execute(sa.select(schema.runs.c.key).where(same)).scalar_one()
        for table, names, columns in (
            (schema.steps, STEP_COLUMNS, run.steps),
            (schema.epochs, EPOCH_COLUMNS, run.epochs),
        ):
            if rows := _rows(key, names, columns):
                db.execute(table.insert(), rows)
        events: list[dict[str, Any]] = [
            {"run": key, "step": e.step, "at": e.at, "kind": e.kind, "detail": json.dumps(e.detail)}
            for e in run.events
        ]
        files = [{"run": key, **vars(artifact)} for artifact in artifacts]
        for table, many in ((schema.events, events), (schema.artifacts, files)):
            if many:
                db.execute(table.insert(), many)


def _rows(key: int, names: Sequence[str], columns: Columns) -> list[dict[str, Any]]:
    """NaN is stored as NULL; whole numbers in their columns are exact in float64."""
    lists = [
        [
            None if missing else value
            for value, missing in zip(column, np.isnan(column), strict=True)
        ]
        for column in (columns[name].tolist() for name in names)
    ]
    return [{"run": key, **dict(zip(names, row, strict=True))} for row in zip(*lists, strict=True)]
