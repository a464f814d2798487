"""Requests from faces to a run's worker: pause, resume, step, stop, change."""

import json
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from samar.runs import schema
from samar.runs.database import Database

COMMANDS = ("pause", "resume", "step", "stop", "change")


@dataclass(frozen=True)
class Control:
    """One request; ``detail`` holds the new values of a change."""

    key: int
    command: str
    detail: dict[str, Any]


class Mailbox:
    """Controls posted to runs, read by workers in order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def post(self, run: int, command: str, **detail: Any) -> None:
        """Leave a request for the run's worker."""
        values = {"run": run, "command": command, "detail": json.dumps(detail), "at": time.time()}
        with self._database.write() as db:
            db.execute(schema.controls.insert().values(**values))

    def after(self, run: int, key: int) -> list[Control]:
        """Requests newer than the one with this key."""
        table = schema.controls
        query = sa.select(table).where((table.c.run == run) & (table.c.key > key))
        with self._database.read() as db:
            rows = db.execute(query.order_by(table.c.key)).all()
        return [Control(row.key, row.command, json.loads(row.detail)) for row in rows]
