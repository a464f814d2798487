"""The steps of training runs: many in one row of the store, as a block of numbers.

A block holds some steps that follow each other, each as little-endian float64 in the order of
:data:`COLUMNS`; what was not measured is NaN. A million steps are so read
without being a million rows, let alone eleven million Python numbers.
"""

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import sqlalchemy as sa

from samar.jobs.sql import schema
from samar.jobs.training_records import StepRecord

COLUMNS = tuple(field.name for field in fields(StepRecord))
FORMAT = np.dtype("<f8")
ROW_BYTES = FORMAT.itemsize * len(COLUMNS)
SHORT = 256
"""A block with fewer steps is joined with the next one that is written."""
MOST = 1024
"""Steps in a block."""


def read(db: sa.Connection, job: int, after: int = 0) -> np.ndarray:
    """The steps of a job beyond ``after`` in order, (columns, steps)."""
    table = schema.steps.c
    size = sa.func.sum(sa.func.length(table.rows) / ROW_BYTES)
    most = db.execute(sa.select(size).where(_beyond(job, after))).scalar() or 0
    values, count = np.empty((len(COLUMNS), int(most))), 0
    for rows in pieces(db, job, after):
        values[:, count : count + len(rows)] = rows.T
        count += len(rows)
    return values[:, :count]


def pieces(db: sa.Connection, job: int, after: int = 0) -> Iterator[np.ndarray]:
    """The same block after block, (steps, columns) each."""
    table = schema.steps.c
    query = sa.select(table.rows).where(_beyond(job, after)).order_by(table.last)
    for (content,) in db.execute(query):
        rows = _taken_apart(content)
        yield rows if rows[0, 0] > after else rows[rows[:, 0] > after]


def _beyond(job: int, after: int) -> sa.ColumnElement[bool]:
    return (schema.steps.c.job == job) & (schema.steps.c.last > after)


def _taken_apart(content: bytes) -> np.ndarray:
    """The steps of one block, (steps, columns)."""
    return np.frombuffer(content, FORMAT).reshape(-1, len(COLUMNS))


def append(db: sa.Connection, job: int, rows: np.ndarray) -> None:
    """Add steps, (steps, columns) in order; what was recorded from the first of them on goes."""
    if len(rows):
        kept = _cut(db, job, int(rows[0, 0]) - 1, joined=len(rows) < MOST)
        for block in _blocks(np.concatenate([kept, rows])):
            _insert(db, job, block)


def cut(db: sa.Connection, job: int, step: int) -> None:
    """Forget the steps of a job beyond one."""
    kept = _cut(db, job, step)
    if len(kept):
        _insert(db, job, kept)


def copy(db: sa.Connection, source: int, target: int, step: int) -> None:
    """Give one job the steps of another up to one."""
    table = schema.steps
    whole = (table.c.job == source) & (table.c.last <= step)
    chosen = sa.select(sa.literal(target), table.c.last, table.c.rows).where(whole)
    db.execute(table.insert().from_select(["job", "last", "rows"], chosen))
    last = db.execute(sa.select(sa.func.max(table.c.last)).where(table.c.job == target)).scalar()
    rest = next(pieces(db, source, last or 0), np.empty((0, len(COLUMNS))))
    rest = rest[rest[:, 0] <= step]
    if len(rest):
        _insert(db, target, rest)


def _cut(db: sa.Connection, job: int, step: int, joined: bool = False) -> np.ndarray:
    """Remove the blocks that go beyond a step; returns what they hold up to it.

    Args:
        joined: a short block before them is removed and returned too.
    """
    table = schema.steps.c
    own = table.job == job
    query = sa.select(table.last, table.rows).where(own & (table.last > step))
    first = db.execute(query.order_by(table.last).limit(1)).first()
    if first is None and joined:
        newest = sa.select(sa.func.max(table.last)).where(own).scalar_subquery()
        short = sa.func.length(table.rows) < SHORT * ROW_BYTES
        query = sa.select(table.last, table.rows).where(own & (table.last == newest) & short)
        first = db.execute(query).first()
    if first is None:
        return np.empty((0, len(COLUMNS)))
    db.execute(schema.steps.delete().where(own & (table.last >= first.last)))
    rows = _taken_apart(first.rows)
    return rows[rows[:, 0] <= step]


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for begin in range(0, len(rows), MOST):
        yield rows[begin : begin + MOST]


def _insert(db: sa.Connection, job: int, rows: np.ndarray) -> None:
    content = np.ascontiguousarray(rows, FORMAT).tobytes()
    db.execute(schema.steps.insert().values(job=job, last=int(rows[-1, 0]), rows=content))
