"""Orders from faces to a job's worker: pause, resume, step, stop, change, measure."""

import json
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from samar.jobs.sql import schema
from samar.jobs.sql.database import Database, take_turn

COMMANDS = ("pause", "resume", "step", "stop", "change", "measure")
PAUSE, RESUME, STEP, STOP, CHANGE, MEASURE = COMMANDS
WHY = "why"
"""In the detail of a stop: the sentence that the stopped job is to bear."""
ORDER = "order"
"""In the detail of a change: the key of the order, by which the edit that answers it is known."""


@dataclass(frozen=True)
class Order:
    """One order to a job; ``detail`` has the new values of a change, ``at`` when it was given."""

    key: int
    job: int
    command: str
    detail: dict[str, Any]
    at: float


class Orders:
    """Orders posted to jobs, read by workers one after the other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def post(self, job: int, command: str, **detail: Any) -> None:
        """Leave an order for the job's worker."""
        values = {"job": job, "command": command, "detail": json.dumps(detail), "at": time.time()}
        with self._database.write() as db:
            take_turn(db, "orders")  # a worker reads them by number
            db.execute(schema.controls.insert().values(**values))

    def after(self, key: int, *jobs: int) -> list[Order]:
        """Orders to these jobs newer than the one with this key, in the order they were given."""
        table = schema.controls
        query = sa.select(table).where(table.c.job.in_(jobs) & (table.c.key > key))
        with self._database.read() as db:
            rows = db.execute(query.order_by(table.c.key)).all()
        found = []
        for row in rows:
            detail = json.loads(row.detail)
            if row.command == CHANGE:
                detail |= {ORDER: row.key}
            found.append(Order(row.key, row.job, row.command, detail, row.at))
        return found
