"""The records of a job: steps and epochs of a training run, events, artifacts, and orders to it.

Appended in batches, read incrementally; :class:`RunHistory` keeps those of a run in memory.
"""

import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import Any

import numpy as np
import sqlalchemy as sa

from samar.jobs.sql import blocks, schema
from samar.jobs.sql.database import Database, take_turn
from samar.jobs.training_records import NAN, EpochRecord, StepRecord

COMMANDS = ("pause", "resume", "step", "stop", "change", "measure", "pace")
PAUSE, RESUME, STEP, STOP, CHANGE, MEASURE, SET_PACE = COMMANDS
WHY = "why"
"""In the detail of a stop: the sentence that the stopped job is to bear."""
ORDER = "order"
"""In the detail of a change: the key of the order, by which the edit that answers it is known."""
OBEYED = "obeyed"
"""In a job's summary: the key of the newest order that was carried out, and the steps by then."""


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

    def post(self, job: int, command: str, **detail: Any) -> int:
        """Leave an order for the job's worker, and return its number."""
        values = {"job": job, "command": command, "detail": json.dumps(detail), "at": time.time()}
        with self._database.write() as db:
            take_turn(db, "orders")  # a worker reads them by number
            result = db.execute(schema.controls.insert().values(**values))
            (key,) = result.inserted_primary_key or (0,)
        return int(key)

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


STEP_COLUMNS = blocks.COLUMNS
EPOCH_COLUMNS = tuple(field.name for field in fields(EpochRecord))
Columns = dict[str, np.ndarray]
LABELS = "labels"
"""Kind of the events that hold the answers to some wrongly labelled training images."""
PLANE, CURVATURE, ESTIMATE = "plane", "curvature", "estimate"
"""Kinds of the events that record what the observer of a run measured."""
MEASURED = (PLANE, CURVATURE, ESTIMATE, LABELS)
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


def measurements(events: Iterable[Event], kind: str) -> list[Event]:
    """The measurements of one kind in order of step; of one step the newest, the finest."""
    newest = {event.step: event for event in events if event.kind == kind}
    return [newest[step] for step in sorted(newest)]


class Records:
    """Records of jobs, by the job's key. NaN is stored as NULL and comes back as NaN."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, job: int, steps: Sequence[StepRecord] = (), epochs: Sequence[EpochRecord] = ()
    ) -> None:
        """Add records in one transaction; a step recorded before is replaced."""
        with self._database.write() as db:
            if steps:
                blocks.append(db, job, np.array([astuple(step) for step in steps], float))
            insert_epochs(db, job, epochs)

    def steps(self, job: int, after: int = 0) -> Columns:
        """Columns of every step beyond ``after``, as float64 arrays in order of step."""
        with self._database.read() as db:
            return dict(zip(STEP_COLUMNS, blocks.read(db, job, after), strict=True))

    def epochs(self, job: int, after: int = -1) -> Columns:
        """Columns of every epoch that ended beyond step ``after``; epoch 0 ended at step 0."""
        table = schema.epochs.c
        query = sa.select(*(table[name] for name in EPOCH_COLUMNS)).order_by(table.epoch)
        with self._database.read() as db:
            rows = db.execute(query.where((table.job == job) & (table.step > after))).all()
        values = np.array([tuple(row) for row in rows], float).reshape(-1, len(EPOCH_COLUMNS))
        return dict(zip(EPOCH_COLUMNS, values.T.copy(), strict=True))

    def by_epoch(self, jobs: Sequence[int], name: str) -> dict[int, dict[int, float]]:
        """One figure of several runs after each epoch, by run and epoch."""
        table = schema.epochs.c
        query = sa.select(table.job, table.epoch, table[name]).where(table.job.in_(jobs))
        found: dict[int, dict[int, float]] = {job: {} for job in jobs}
        with self._database.read() as db:
            for job, epoch, value in db.execute(query.order_by(table.epoch)):
                found[job][epoch] = NAN if value is None else value
        return found

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
            blocks.cut(db, job, step)
            for table in (schema.epochs, schema.artifacts):
                db.execute(table.delete().where((table.c.job == job) & (table.c.step > step)))
            again = (schema.events.c.job == job) & (schema.events.c.step > step)
            # A change is saved at its own step; one beyond the saved state was lost with it.
            forgotten = schema.events.c.kind.in_((*MEASURED, "change"))
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
        return [Event(r.step, r.kind, json.loads(r.detail), r.at, r.key) for r in rows]

    def thin(self, job: int, steps: Sequence[int]) -> None:
        """Forget what the observer measured at these steps."""
        table = schema.events.c
        kinds = table.kind.in_((PLANE, CURVATURE, ESTIMATE))
        wanted = (table.job == job) & kinds & table.step.in_(steps)
        with self._database.write() as db:
            db.execute(schema.events.delete().where(wanted))

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
        return [Artifact(r.kind, r.step, r.path, r.at, json.loads(r.summary or "{}")) for r in rows]

    def extent(self, job: int, name: str) -> tuple[float, float, float, float] | None:
        """First, last, lowest and highest finite value of a column of the steps; None without."""
        place, found = STEP_COLUMNS.index(name), list[tuple[float, float, float, float]]()
        with self._database.read() as db:
            for rows in blocks.pieces(db, job):
                values = rows[np.isfinite(rows[:, place]), place]
                if values.size:
                    found.append((values[0], values[-1], values.min(), values.max()))
        if not found:
            return None
        first, last, low, high = zip(*found, strict=True)
        return float(first[0]), float(last[-1]), float(min(low)), float(max(high))


def insert_epochs(db: sa.Connection, job: int, epochs: Iterable[EpochRecord]) -> None:
    """Add epochs within a transaction; those recorded from the first of them on go."""
    table = schema.epochs
    rows = [
        {"job": job, **{n: None if v != v else v for n, v in asdict(epoch).items()}}
        for epoch in epochs
    ]
    if rows:
        again = (table.c.job == job) & (table.c.epoch >= rows[0]["epoch"])
        db.execute(table.delete().where(again))
        db.execute(table.insert(), rows)


def insert_events(db: sa.Connection, job: int, events: Sequence[Event]) -> None:
    """Add events within a transaction."""
    rows: list[dict[str, Any]] = [
        {"job": job, "step": e.step, "at": e.at, "kind": e.kind, "detail": json.dumps(e.detail)}
        for e in events
    ]
    if rows:
        take_turn(db, f"events of {job}")  # pages read them by number
        db.execute(schema.events.insert(), rows)


# Rows are kept in a buffer that doubles, so that appending is linear in what is new.
FIRST_CAPACITY = 4096


class _Table:
    """Columns that grow at the end, and shrink when a run was rewound."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.length = 0
        self._rows = np.empty((len(names), FIRST_CAPACITY))

    def extend(self, new: Columns) -> None:
        count = len(new["step"])
        room = self._rows.shape[1]
        if self.length + count > room:
            while self.length + count > room:
                room *= 2
            old, self._rows = self._rows, np.empty((len(self.names), room))
            self._rows[:, : self.length] = old[:, : self.length]
        for row, name in zip(self._rows, self.names, strict=True):
            row[self.length : self.length + count] = new[name]
        self.length += count

    def cut(self, step: int) -> None:
        """Drop what a resumed run computes again."""
        self.length = int(np.searchsorted(self.columns()["step"], step, side="right"))

    def columns(self) -> Columns:
        return {n: row[: self.length] for n, row in zip(self.names, self._rows, strict=True)}

    @property
    def last_step(self) -> int:
        return int(self.columns()["step"][-1]) if self.length else -1


class RunHistory:
    """All steps and epochs of one run. Safe to share between threads."""

    def __init__(self, series: Records, run: int) -> None:
        self._series = series
        self._run = run
        self._lock = threading.Lock()
        self._start = 0
        self._steps = _Table(STEP_COLUMNS)
        self._epochs = _Table(EPOCH_COLUMNS)
        self._events: list[Event] = []
        self._state: object = None

    def refresh(self) -> tuple[Columns, Columns]:
        """Read what is new and return all steps and all epochs, as views not to be written to."""
        with self._lock:
            start, step = self._series.last_start(self._run)
            if start != self._start:
                self._steps.cut(step)
                self._epochs.cut(step)
                self._start = start
            for table, read in (
                (self._steps, self._series.steps),
                (self._epochs, self._series.epochs),
            ):
                table.extend(read(self._run, after=table.last_step))
            return self._steps.columns(), self._epochs.columns()

    def events(self, thinned: int = 0) -> list[Event]:
        """Read what is new and return all events.

        Args:
            thinned: how often measurements were thinned out, after which all are read again.
        """
        with self._lock:
            state = self._series.last_start(self._run), thinned
            if state != self._state:
                self._state, self._events = state, []
            last = self._events[-1].key if self._events else 0
            self._events = [*self._events, *self._series.events(self._run, after=last)]
            return self._events
