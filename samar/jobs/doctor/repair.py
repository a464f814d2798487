"""A copy of a damaged store with all that can be read of it; the original is never changed."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from samar.errors import ConfigError, RunError
from samar.jobs.doctor.examine import missing, tables_of, unread, version_of, whole, wrong_in
from samar.jobs.doctor.salvage import opened, salvaged
from samar.jobs.job import STAND_INS, damaged
from samar.jobs.sql import schema
from samar.jobs.sql.database import Database, store_url

NEEDED = ("key", "id", "kind", "config")
"""Of a job; without one of these nothing can be made of it."""
RECORDS = {"steps": "last", "epochs": "epoch"}
LISTS = ("events", "controls", "artifacts")


@dataclass
class Repair:
    """What became of a store.

    Attributes:
        copy: the new file.
        rows: how many rows of each table are in it.
        notes: what was left out or put right, a sentence each.
    """

    copy: Path
    rows: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def repair(target: Path, url: str | None = None) -> Repair:
    """Write a copy with everything that can be read.

    Args:
        target: a new file.
        url: of the store, as for :class:`samar.jobs.store.Store`.

    Raises:
        ConfigError: there is a file already, or the store is not an SQLite file.
        RunError: nothing of the store can be read, or the copy cannot be written.
    """
    where = store_url(url)
    if where.get_backend_name() != "sqlite" or not where.database:
        raise ConfigError("Only a store in an SQLite file can be repaired; use its server's tools.")
    for taken in (target, *(Path(f"{target}{end}") for end in ("-wal", "-journal"))):
        if taken.exists():
            raise ConfigError(f"There is a file {taken} already; choose another name for the copy.")
    part = target.with_name(f".{target.name}.part")
    made = Repair(target)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with opened(Path(where.database)) as source, closing(sqlite3.connect(part)) as copy:
            _fill(source, copy, made)
        part.rename(target)
    except (OSError, sqlite3.Error) as error:
        raise RunError(
            f"The store {where.database} cannot be copied to {target} ({error}); put back a copy "
            "that you made earlier, or begin a new store."
        ) from None
    finally:
        part.unlink(missing_ok=True)
    Database(sa.URL.create("sqlite", database=str(target)).render_as_string()).engine.dispose()
    return made


def _fill(source: sqlite3.Connection, copy: sqlite3.Connection, made: Repair) -> None:
    tables = tables_of(source)
    if "jobs" not in tables and "runs" not in tables:
        raise sqlite3.DatabaseError("its tables cannot be read")
    own: dict[str, sa.Table] = dict(schema.metadata.tables)
    if version_of(source) in range(schema.VERSION):
        own = {}  # of an older version: copied as it is, and brought up to date when opened
    for table in own.values():
        making: list[sa.schema.ExecutableDDLElement] = [sa.schema.CreateTable(table)]
        making += [sa.schema.CreateIndex(index) for index in table.indexes]
        for statement in making:
            copy.execute(str(statement.compile(dialect=sqlite.dialect())))
    if own:
        copy.execute("INSERT INTO schema_version VALUES (?)", (schema.VERSION,))
        keys = _copy_jobs(source, copy, made) if "jobs" in tables else {}
        for name in LISTS:
            if name in tables:
                _copy_list(source, copy, made, name, keys)
        for name in RECORDS:
            if name in tables:
                _copy_records(source, copy, made, name, keys)
        _renew_summaries(copy, made)
    for name in tables:
        if name not in own:
            _copy_plain(source, copy, made, name)
    _keep_numbers(source, copy)
    copy.commit()


def _insert(copy: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> bool:
    names, marks = ", ".join(f'"{n}"' for n in row), ", ".join("?" * len(row))
    done = copy.execute(
        f'INSERT OR IGNORE INTO "{table}" ({names}) VALUES ({marks})', tuple(row.values())
    )
    return bool(done.rowcount)


def _rows(
    source: sqlite3.Connection, made: Repair, name: str, key: str = "rowid", job: int | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a table, with every column of today's and no other."""
    about = name if job is None else f"{name} of job #{job}"

    def lost(first: int, last: int | None) -> None:
        made.notes.append(f"{about}: {unread(first, last)}.")

    table = schema.metadata.tables[name]
    for row in salvaged(source, name, key, lost, job):
        yield {c.name: row.get(c.name, STAND_INS.get(c.name)) for c in table.c}


def _copy_jobs(
    source: sqlite3.Connection, copy: sqlite3.Connection, made: Repair
) -> dict[int, str]:
    keys = {}
    for row in _rows(source, made, "jobs"):
        wrong = damaged(row)
        pinned = "inputs" in wrong and row["kind"] != "train"  # what it measured is in there
        if needed := [name for name in (*NEEDED, *(["inputs"] if pinned else [])) if name in wrong]:
            made.notes.append(f"job #{row['key']}: left out; its {needed[0]} cannot be read.")
            continue
        row |= {name: STAND_INS.get(name) for name in wrong}
        if "status" in wrong:
            row["status"] = "interrupted"
        if _insert(copy, "jobs", row):
            keys[row["key"]] = row["id"]
            if wrong:
                made.notes.append(f"job #{row['key']}: put right: its {', its '.join(wrong)}.")
        else:
            made.notes.append(f"job #{row['key']}: left out; another has its id.")
    made.rows["jobs"] = len(keys)
    return keys


def _copy_list(
    source: sqlite3.Connection,
    copy: sqlite3.Connection,
    made: Repair,
    name: str,
    keys: Mapping[int, str],
) -> None:
    count = 0
    for row in _rows(source, made, name):
        problem = wrong_in(name, row)
        if not problem and row["job"] not in keys:
            problem = "its job is not there"
        if not problem and name == "artifacts" and missing(keys[row["job"]], row["path"]):
            problem = f"its file {row['path']} is missing"
        if not problem and _insert(copy, name, row):
            count += 1
        else:
            told = problem or "another stands in its place"
            made.notes.append(f"row {row['key']} of {name}: left out; {told}.")
    made.rows[name] = count


def _copy_records(
    source: sqlite3.Connection,
    copy: sqlite3.Connection,
    made: Repair,
    name: str,
    keys: Mapping[int, str],
) -> None:
    table, count = schema.metadata.tables[name], 0
    for key in keys:
        left_out = 0
        for row in _rows(source, made, name, RECORDS[name], key):
            wrong = [column for column in table.c if schema.wrong(column, row[column.name])]
            row |= {column.name: None for column in wrong if column.nullable}
            good = all(column.nullable for column in wrong) and (name != "steps" or whole(row))
            good = good and _insert(copy, name, row)
            count, left_out = count + good, left_out + (not good)
        if left_out:
            what = "blocks of its steps" if name == "steps" else f"of its {name}"
            made.notes.append(f"job #{key}: {left_out} {what} left out.")
    made.rows[name] = count


def _renew_summaries(copy: sqlite3.Connection, made: Repair) -> None:
    """Give runs whose summary was lost that of their last epoch."""
    copy.row_factory = sqlite3.Row
    empty = "SELECT key FROM jobs WHERE kind = 'train' AND summary = ''"
    for (key,) in copy.execute(empty).fetchall():
        query = "SELECT * FROM epochs WHERE job = ? ORDER BY epoch DESC LIMIT 1"
        if (last := copy.execute(query, (key,)).fetchone()) is not None:
            epoch = {name: last[name] for name in last.keys() if name != "job"}  # noqa: SIM118
            summary = json.dumps({"epoch": epoch})
            copy.execute("UPDATE jobs SET summary = ? WHERE key = ?", (summary, key))
    copy.row_factory = None


def _copy_plain(
    source: sqlite3.Connection, copy: sqlite3.Connection, made: Repair, name: str
) -> None:
    """A table of another program, such as a search's, or of an older version."""
    wanted = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL"
    statements = [sql for (sql,) in source.execute(f"{wanted} ORDER BY type = 'index'", (name,))]
    for statement in statements:
        copy.execute(statement)

    def lost(first: int, last: int | None) -> None:
        made.notes.append(f"{name}: {unread(first, last)}.")

    if "WITHOUT ROWID" in statements[0].upper():
        rows = _plain_rows(source, made, name)
    else:
        rows = salvaged(source, name, "rowid", lost)
    made.rows[name] = sum(_insert(copy, name, row) for row in rows)


def _plain_rows(source: sqlite3.Connection, made: Repair, name: str) -> Iterator[dict[str, Any]]:
    try:
        cursor = source.execute(f'SELECT * FROM "{name}"')
        names = [each[0] for each in cursor.description]
        yield from (dict(zip(names, row, strict=True)) for row in cursor)
    except sqlite3.DatabaseError as error:
        made.notes.append(f"{name}: the rest cannot be read ({error}).")


def _keep_numbers(source: sqlite3.Connection, copy: sqlite3.Connection) -> None:
    """Numbers of jobs and events that were used once are not used again."""
    try:
        used = source.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
    except sqlite3.DatabaseError:
        return
    for name, number in used:
        if isinstance(number, int):
            changed = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?"
            if not copy.execute(changed, (number, name)).rowcount:
                copy.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (name, number))
