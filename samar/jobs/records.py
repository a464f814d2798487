"""What a job recorded: events and artifacts, and of a training run its steps and epochs.

Appended in batches, read incrementally.
"""

import json
import struct
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from itertools import islice, starmap
from typing import Any

import numpy as np
import sqlalchemy as sa

from samar.errors import RunError
from samar.jobs.sql import schema
from samar.jobs.sql.database import Database, take_turn
from samar.training.records import NAN, EpochRecord, StepRecord

STEP_COLUMNS = tuple(field.name for field in fields(StepRecord))
EPOCH_COLUMNS = tuple(field.name for field in fields(EpochRecord))
Columns = dict[str, np.ndarray]
PIECE = 1024
"""Rows that are read at once."""
ABSENT = -sys.float_info.max
"""Stands for NULL between the store and an array."""
LABELS = "labels"
"""Kind of the events that hold the answers to some wrongly labelled training images."""
LOOKS = ("curvature", "film", LABELS)
"""Kinds of the events that record what was measured, and is measured again by a resumed run."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a job at a step, such as a change by hand."""

    step: int
    kind: str
    detail: dict[str, Any]
    at: float
    key: int = 0


@dataclass(frozen=True)
class Artifact:
    """A file that a job wrote; ``path`` within its folder, ``summary`` a few plain numbers."""

    kind: str
    step: int
    path: str
    at: float
    summary: dict[str, Any] = field(default_factory=dict)


class Records:
    """Records of jobs, by the job's key. NaN is stored as NULL and comes back as NaN."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, job: int, steps: Sequence[StepRecord] = (), epochs: Sequence[EpochRecord] = ()
    ) -> None:
        """Add records in one transaction; a step recorded before is replaced."""
        with self._database.write() as db:
            _insert(db, schema.steps, STEP_COLUMNS, job, steps)
            _insert(db, schema.epochs, EPOCH_COLUMNS, job, epochs)

    def steps(self, job: int, after: int = 0) -> Columns:
        """Columns of every step beyond ``after``, as float64 arrays in order of step."""
        return self._columns(schema.steps, STEP_COLUMNS, job, after)

    def epochs(self, job: int, after: int = 0) -> Columns:
        """Columns of every epoch that ended beyond step ``after``."""
        return self._columns(schema.epochs, EPOCH_COLUMNS, job, after)

    def last_start(self, job: int) -> tuple[int, int]:
        """Key of the newest ``started`` event and the step from which training then went on."""
        table = schema.events
        query = (
            sa.select(table.c.key, table.c.step)
            .where((table.c.job == job) & (table.c.kind == "started"))
            .order_by(table.c.key.desc())
            .limit(1)
        )
        with self._database.read() as db:
            row = db.execute(query).first()
        return (row.key, row.step) if row else (0, 0)

    def last_epoch(self, job: int) -> EpochRecord | None:
        """The newest evaluation of a training run."""
        table = schema.epochs
        query = sa.select(*(table.c[name] for name in EPOCH_COLUMNS)).where(table.c.job == job)
        with self._database.read() as db:
            row = db.execute(query.order_by(table.c.epoch.desc()).limit(1)).first()
        values: Any = (NAN if value is None else value for value in row or ())
        return EpochRecord(*values) if row else None

    def rewind(self, job: int, step: int) -> None:
        """Forget what was recorded beyond a step, before it is computed again."""
        with self._database.write() as db:
            for table in (schema.steps, schema.epochs, schema.artifacts):
                db.execute(table.delete().where((table.c.job == job) & (table.c.step > step)))
            again = (schema.events.c.job == job) & (schema.events.c.step > step)
            # A change is saved at its own step; one beyond the saved state was lost with it.
            forgotten = schema.events.c.kind.in_((*LOOKS, "change"))
            db.execute(schema.events.delete().where(again & forgotten))

    def note(self, job: int, step: int, kind: str, **detail: Any) -> None:
        """Record an event."""
        self.note_all(job, [Event(step, kind, detail, time.time())])

    def note_all(self, job: int, events: Sequence[Event]) -> None:
        """Record several events in one transaction."""
        with self._database.write() as db:
            insert_events(db, job, events)

    def events(self, job: int, after: int = 0) -> list[Event]:
        """The events of a job in order, from beyond a key."""
        table = schema.events
        query = sa.select(table).where((table.c.job == job) & (table.c.key > after))
        with self._database.read() as db:
            rows = db.execute(query.order_by(table.c.key)).all()
        return [Event(r.step, r.kind, _object(job, r.detail), r.at, r.key) for r in rows]

    def add_artifact(
        self, job: int, kind: str, step: int, path: str, summary: Mapping[str, Any] | None = None
    ) -> None:
        """Note a file; one of the same kind and step is replaced."""
        table = schema.artifacts
        same = (table.c.job == job) & (table.c.kind == kind) & (table.c.step == step)
        values = {"job": job, "kind": kind, "step": step, "path": path, "at": time.time()}
        with self._database.write() as db:
            db.execute(table.delete().where(same))
            db.execute(table.insert().values(**values, summary=json.dumps(dict(summary or {}))))

    def remove_artifact(self, job: int, kind: str, step: int) -> None:
        """Forget a file of a kind and step."""
        table = schema.artifacts
        same = (table.c.job == job) & (table.c.kind == kind) & (table.c.step == step)
        with self._database.write() as db:
            db.execute(table.delete().where(same))

    def steps_of(self, job: int, kind: str) -> list[int]:
        """The steps at which files of a kind were written, in order."""
        return [artifact.step for artifact in self.artifacts(job, kind)]

    def artifacts(self, job: int, kind: str | None = None) -> list[Artifact]:
        """The files of a job, perhaps only those of a kind, oldest first."""
        table = schema.artifacts
        wanted = (
            table.c.job == job if kind is None else (table.c.job == job) & (table.c.kind == kind)
        )
        query = sa.select(table).where(wanted).order_by(table.c.key)
        with self._database.read() as db:
            rows = db.execute(query).all()
        return [Artifact(r.kind, r.step, r.path, r.at, _object(job, r.summary)) for r in rows]

    def extent(self, job: int, name: str) -> tuple[float, float, float, float] | None:
        """First, last, lowest and highest finite value of a column of the steps; None without."""
        table = schema.steps
        column = table.c[name]
        largest = sys.float_info.max
        wanted = (table.c.job == job) & column.between(-largest, largest)
        step, low, high = table.c.step, sa.func.min(column), sa.func.max(column)
        query = sa.select(sa.func.min(step), sa.func.max(step), low, high).where(wanted)
        with self._database.read() as db:
            first, last, *bounds = db.execute(query).one()
            if first is None:
                return None
            of_step = sa.select(column).where(table.c.job == job)
            ends = [db.execute(of_step.where(step == at)).scalar_one() for at in (first, last)]
        return (float(ends[0]), float(ends[1]), float(bounds[0]), float(bounds[1]))

    def _columns(self, table: sa.Table, names: tuple[str, ...], job: int, after: int) -> Columns:
        """Read in pieces, so that of a million rows no more than one piece is ever Python objects.

        A struct takes numbers alone; a float that no measurement gives stands for NULL meanwhile.
        """
        query = (
            sa.select(*(_or_absent(table.c[name]) for name in names))
            .where((table.c.job == job) & (table.c.step > after))
            .order_by(table.c.step)
        )
        pack, pieces = struct.Struct(f"{len(names)}d").pack, []
        try:
            with self._database.read() as db:
                rows = iter(db.execute(query).cursor)  # type: ignore[call-overload]
                while piece := b"".join(starmap(pack, islice(rows, PIECE))):
                    pieces.append(np.frombuffer(piece).reshape(-1, len(names)))
        except struct.error:
            raise RunError(
                f"The {table.name} of job #{job} hold something that is not a number; see what "
                "can be saved with: python -m samar doctor"
            ) from None
        values = np.empty((len(names), sum(map(len, pieces))))
        end = len(values.T)
        while pieces:  # from the last, so that each is given back as soon as it is copied
            piece_of = pieces.pop()
            values[:, end - len(piece_of) : end] = piece_of.T
            end -= len(piece_of)
        values[values == ABSENT] = NAN
        return dict(zip(names, values, strict=True))


def _or_absent(column: "sa.Column[Any]") -> sa.ColumnElement[Any]:
    return sa.func.coalesce(column, ABSENT) if column.nullable else column


def _object(job: int, text: str) -> dict[str, Any]:
    """What an event or artifact of a job tells."""
    found = schema.object_of(text)
    if found is None:
        raise RunError(
            f"A record of job #{job} cannot be read; see what can be saved with: "
            "python -m samar doctor"
        )
    return found


def _insert(
    db: sa.Connection,
    table: sa.Table,
    names: tuple[str, ...],
    job: int,
    records: Iterable[StepRecord] | Iterable[EpochRecord],
) -> None:
    rows = [(job, *(None if v != v else v for v in astuple(record))) for record in records]
    if rows:
        keys = [c.name for c in table.primary_key if c.name != "job"]
        first = names.index(keys[0]) + 1
        old = (table.c.job == job) & (table.c[keys[0]] >= rows[0][first])
        db.execute(table.delete().where(old))
        db.execute(table.insert(), [dict(zip(("job", *names), row, strict=True)) for row in rows])


def insert_events(db: sa.Connection, job: int, events: Sequence[Event]) -> None:
    """Add events within a transaction."""
    rows: list[dict[str, Any]] = [
        {"job": job, "step": e.step, "at": e.at, "kind": e.kind, "detail": json.dumps(e.detail)}
        for e in events
    ]
    if rows:
        take_turn(db, f"events of {job}")  # pages read them by number
        db.execute(schema.events.insert(), rows)
