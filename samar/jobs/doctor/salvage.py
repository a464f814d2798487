"""Reading an SQLite file that may be damaged, without changing it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

BEYOND = 2**62
Lost = Callable[[int, "int | None"], None]
"""Told the first and the last key of what cannot be read; the last is None at the end."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file for reading alone; bytes that are no text are replaced.

    Raises:
        sqlite3.DatabaseError: it cannot be opened, or is no SQLite file.
    """
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
        db.text_factory = lambda content: content.decode(errors="replace")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield db


def salvaged(
    db: sqlite3.Connection, table: str, key: str, lost: Lost, job: int | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a table in order of a key, without those on pages that cannot be read.

    Where reading fails, the next key from which it succeeds is looked for: in steps that double,
    then between the last two.

    Args:
        key: an integer by which the table is stored; ``rowid``, or after ``job`` the second part.
        job: only rows of this job.
    """
    own, values = ("job = ? AND ", (job,)) if job is not None else ("", ())
    query = f'SELECT {key} AS "", * FROM "{table}" WHERE {own}{key} > ? ORDER BY {key}'

    def first_after(at: int) -> int | None:
        row = db.execute(f"{query} LIMIT 1", (*values, at)).fetchone()
        return None if row is None else int(row[0])

    at = -1
    while True:
        try:
            cursor = db.execute(query, (*values, at))
            names = [each[0] for each in cursor.description][1:]
            for own_key, *row in cursor:
                if isinstance(own_key, int) and own_key > at:
                    at = own_key
                    yield dict(zip(names, row, strict=True))
            return
        except sqlite3.DatabaseError:
            found = _next_readable(at, first_after)
            lost(at + 1, None if found is None else found - 1)
            if found is None:
                return
            at = found - 1


def _next_readable(at: int, first_after: Callable[[int], int | None]) -> int | None:
    """The smallest key beyond ``at + 1`` from which on there is something to read."""

    def attempt(gap: int) -> tuple[bool, int | None]:
        try:
            return True, first_after(at + gap)
        except (sqlite3.DatabaseError, TypeError, ValueError):
            return False, None

    low, high = 0, 1
    while not (reached := attempt(high))[0]:
        low, high = high, 2 * high
        if high > BEYOND:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        tried = attempt(middle)
        if tried[0]:
            high, reached = middle, tried
        else:
            low = middle
    return reached[1]
