"""What is wrong with a store, with the files beside it, and with the jobs that are said to run.

Nothing is changed: an SQLite file is opened for reading alone, without what
:class:`samar.jobs.store.Store` demands of it.
"""

import os
import shutil
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from samar.errors import SamarError
from samar.home import home, jobs_folder
from samar.jobs.doctor.salvage import opened, salvaged
from samar.jobs.files import job_dir
from samar.jobs.job import HELD, damaged, stored_settings
from samar.jobs.kind import kinds
from samar.jobs.sql import schema
from samar.jobs.sql.blocks import NoSteps, taken_apart
from samar.jobs.sql.database import SMALLEST, Database, store_url
from samar.jobs.store import alive

LEAST_FREE = 2**30
"""With less free space on the disk than this, in bytes, jobs will soon end for want of room."""
PART_SECONDS = 600.0
"""A ``.part`` file is written to; one that was not for so long is left over."""
FOLDER_SECONDS = 60.0
"""A job's folder may be there for a moment before its row is, and after."""
MOST_LINES = 20
"""Problems that SQLite itself reports."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: which check found it: ``store``, ``integrity``, ``schema``, ``row``, ``file``,
            ``folder``, ``orphan``, ``part``, ``process``, ``model`` or ``disk``.
        about: the table, job, file or folder.
        problem: what is wrong with it.
    """

    check: str
    about: str
    problem: str

    def __str__(self) -> str:
        return f"{self.about}: {self.problem}"


@dataclass
class Report:
    """What an examination found.

    Attributes:
        store: its URL, without a password.
        readable: whether the store could be opened at all.
        file: of an SQLite store.
        jobs: how many rows of jobs could be read; None where none was tried.
    """

    store: str
    readable: bool = False
    file: Path | None = None
    jobs: int | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def status(self) -> int:
        """0 healthy, 1 something was found, 2 the store cannot be opened at all."""
        return 2 if not self.readable else 1 if self.findings else 0

    def add(self, check: str, about: str, problem: str) -> None:
        """Note one more finding."""
        self.findings.append(Finding(check, about, problem))


def examine(url: str | None = None) -> Report:
    """Look at everything.

    Args:
        url: as for :class:`samar.jobs.store.Store`.
    """
    report = Report(url or "")
    rows: list[dict[str, Any]] | None = None
    folders: list[Path] | None = None
    try:
        folders = _job_folders()  # before the rows, so that each of them has its own
    except (SamarError, OSError) as error:
        report.add("file", "SAMAR_HOME", str(error))
    try:
        where = store_url(url)
        report.store = where.render_as_string()
        if where.get_backend_name() == "sqlite" and where.database not in (None, "", ":memory:"):
            report.file = Path(where.database or "")
            rows = _examine_file(report, report.file)
        else:
            rows = _examine_server(report, url)
    except (SamarError, sa.exc.SQLAlchemyError, OSError, ImportError, ValueError) as error:
        report.add("store", report.store or "SAMAR_STORE", str(error))
    report.jobs = None if rows is None else len(rows)
    try:
        if folders is not None:
            _check_files(report, rows, folders)
    except (SamarError, OSError) as error:
        report.add("file", "SAMAR_HOME", str(error))
    return report


def _examine_file(report: Report, path: Path) -> list[dict[str, Any]] | None:
    about = str(path)
    if path.is_dir():
        report.add("store", about, "it is a folder; a store is a file")
    elif not os.path.lexists(path):
        nearest = next(each for each in path.parents if each.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            report.add("store", about, f"it cannot be made in {nearest}; choose another folder")
        elif (home() / "runs").is_dir() and any((home() / "runs").iterdir()):
            report.add("store", about, "it is not there, though there are folders of runs")
        else:
            report.readable = True
    elif path.exists() and path.stat().st_size < SMALLEST:
        report.add("store", about, f"it is empty ({path.stat().st_size} bytes)")
    else:
        try:
            with opened(path) as db:
                report.readable = True
                return _examine_tables(report, db)
        except sqlite3.Error as error:
            report.readable = False
            report.add("store", about, f"it cannot be opened: {error}")
    return None


def _examine_tables(report: Report, db: sqlite3.Connection) -> list[dict[str, Any]] | None:
    tables = tables_of(db)
    if schema.version.name not in tables and "jobs" not in tables:
        shown = ", ".join(sorted(tables)[:5]) or "none"
        report.readable = False
        report.add("store", str(report.file), f"it is not a store of samar; its tables: {shown}")
        return None
    for line in _integrity(db):
        report.add("integrity", str(report.file), line)
    version, known = version_of(db), schema.VERSION
    if not isinstance(version, int) or version < 0:
        report.add("schema", schema.version.name, f"the version is {version!r}, not a number")
    elif version > known:
        report.add(
            "schema",
            schema.version.name,
            f"the store is at version {version}, newer than this samar knows; update samar",
        )
        report.readable = False
        return None
    elif version < known:
        return None  # it is brought up to date when it is next opened
    lacking = False
    for table in schema.metadata.sorted_tables:
        if table.name not in tables:
            lacking = True
            report.add("schema", table.name, "the table is missing")
            continue
        for column in table.c:
            if column.name not in tables[table.name]:
                lacking = True
                report.add("schema", table.name, f"the column {column.name} is missing")
    if lacking:
        return None
    read: dict[str, list[dict[str, Any]]] = {}
    for name in ("jobs", "events", "controls", "artifacts"):

        def lost(first: int, last: int | None, name: str = name) -> None:
            report.add("row", name, unread(first, last))

        read[name] = list(salvaged(db, name, "rowid", lost))
    for key, count in _no_numbers(db, "epochs"):
        report.add("row", f"job #{key}", f"{count} of its epochs hold no number")
    for key, count in Counter(row["job"] for row in _blocks(db, report) if not whole(row)).items():
        report.add("row", f"job #{key}", f"{count} blocks of its steps are damaged")
    _examine_rows(report, read)
    return read["jobs"]


def tables_of(db: sqlite3.Connection) -> dict[str, list[str]]:
    """The tables of a file with their columns; none where that cannot be read."""
    found = {}
    try:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            if not name.startswith("sqlite_"):
                found[name] = [row[1] for row in db.execute(f'PRAGMA table_info("{name}")')]
    except sqlite3.DatabaseError:
        return found
    return found


def version_of(db: sqlite3.Connection) -> object:
    """What stands where the number of the version should; None where nothing can be read."""
    try:
        row = db.execute(f"SELECT version FROM {schema.version.name}").fetchone()
    except sqlite3.DatabaseError:
        return None
    return row[0] if row else None


def unread(first: int, last: int | None) -> str:
    """Which rows cannot be read."""
    if last is None:
        return f"what comes from row {first} on cannot be read"
    return f"rows {first} to {last} cannot be read" if last > first else f"row {first} is damaged"


def _integrity(db: sqlite3.Connection) -> Iterator[str]:
    try:
        for (line,) in db.execute(f"PRAGMA integrity_check({MOST_LINES})"):
            if line != "ok":
                yield " ".join(str(line).replace("*** in database main ***", "").split())
        odd: dict[str, int] = {}
        for table, *_ in db.execute("PRAGMA foreign_key_check"):
            odd[table] = odd.get(table, 0) + 1
    except sqlite3.DatabaseError as error:
        yield str(error)
        return
    yield from (f"{count} rows of {table} belong to no job" for table, count in odd.items())


def _blocks(db: sqlite3.Connection, report: Report) -> Iterator[dict[str, Any]]:
    def lost(first: int, last: int | None) -> None:
        report.add("row", "steps", unread(first, last))

    return salvaged(db, "steps", "rowid", lost)


def whole(block: Mapping[str, Any]) -> bool:
    """Whether a row of the table of steps holds what it should."""
    try:
        return bool(taken_apart(block["rows"])[-1, 0] == block["last"])
    except NoSteps:
        return False


def _no_numbers(db: sqlite3.Connection, name: str) -> list[tuple[int, int]]:
    columns = [column for column in schema.metadata.tables[name].c if column.name != "job"]
    tests = (f"typeof({column.name}) IN ('text', 'blob')" for column in columns)
    query = f"SELECT job, count(*) FROM {name} WHERE {' OR '.join(tests)} GROUP BY job"
    try:
        return db.execute(query).fetchall()
    except sqlite3.DatabaseError:
        return []  # which the check of the whole file has told


def _examine_server(report: Report, url: str | None) -> list[dict[str, Any]]:
    database = Database(url)
    report.readable = True
    with database.read() as db:
        read = {
            name: [dict(row) for row in db.execute(sa.select(table)).mappings()]
            for name, table in schema.metadata.tables.items()
            if name in ("jobs", "events", "controls", "artifacts")
        }
    database.engine.dispose()
    _examine_rows(report, read)
    return read["jobs"]


def _examine_rows(report: Report, read: Mapping[str, list[dict[str, Any]]]) -> None:
    jobs = read["jobs"]
    hosts = {row["id"] for row in jobs if getattr(kinds().get(row["kind"]), "members", None)}
    for row in jobs:
        about = f"job #{row['key']}"
        wrong = damaged(row)
        for column, problem in wrong.items():
            report.add("row", about, f"its {column} cannot be read: {problem}")
        if not {"kind", "config"} & set(wrong):
            try:
                stored_settings(row["kind"], row["config"])
            except SamarError as error:
                report.add("row", about, f"its settings cannot be read: {error}")
        if not wrong and row["parent"] not in hosts and _abandoned(row):
            report.add(
                "process", about, f"it is said to be {row['status']}, but its process is gone"
            )
    # A job at work removes files before the store knows.
    rests = (row for row in jobs if row["status"] not in HELD and isinstance(row["id"], str))
    ids, holders = {row["key"]: row["id"] for row in rests}, set[int]()
    for name in ("events", "controls", "artifacts"):
        for row in read[name]:
            about = f"row {row['key']} of {name}, of job #{row['job']}"
            if problem := wrong_in(name, row):
                report.add("row", about, problem)
            elif name == "artifacts" and row["job"] in ids:
                holders.add(row["job"])
                if missing(ids[row["job"]], row["path"]):
                    report.add("file", about, f"its file {row['path']} is missing")
    for key in sorted(holders):
        if not (folder := job_dir(ids[key])).is_dir():
            report.add("folder", f"job #{key}", f"the folder of its files is missing: {folder}")


def wrong_in(name: str, row: Mapping[str, Any]) -> str:
    """What a row of a table holds that it cannot."""
    for column in schema.metadata.tables[name].c:
        if problem := schema.wrong(column, row[column.name]):
            return f"its {column.name} cannot be read: {problem}"
    return ""


def missing(job_id: str, path: str) -> bool:
    """Whether the file of an artifact is not in its job's folder.

    Where the folder is not there either, nobody knows: its disk may be elsewhere at the moment.
    """
    folder = job_dir(job_id)
    return not (folder / path).is_file() and folder.is_dir()


def _abandoned(row: Mapping[str, Any]) -> bool:
    kind = kinds().get(row["kind"])
    if row["status"] not in HELD or kind is None or kind.lane is None:
        return False
    here = row["host"] == socket.gethostname() and row["pid"] is not None
    return here and not alive(row["pid"], row["process"])


def _job_folders() -> list[Path]:
    return [
        path
        for path in sorted(jobs_folder().glob("*"))
        if path.is_dir() and _untouched(path, FOLDER_SECONDS)
    ]


def _untouched(path: Path, seconds: float) -> bool:
    """Whether it is there and nothing was written to it for so long."""
    try:
        return time.time() - path.stat().st_mtime > seconds
    except FileNotFoundError:
        return False


def _check_files(
    report: Report, jobs: list[dict[str, Any]] | None, folders: Sequence[Path]
) -> None:
    place = home()
    known = {row["id"] for row in jobs or ()}
    for path in folders if jobs is not None else ():
        if path.name not in known and _untouched(path, FOLDER_SECONDS):
            report.add("orphan", str(path), "it belongs to no job that the store can read")
    for folder in (jobs_folder(), place / "models", place / "data"):
        # Unlike Path.rglob, it goes on where a folder is deleted meanwhile.
        inner = (Path(at, name) for at, *names in os.walk(folder) for name in chain(*names))
        for path in sorted(path for path in inner if path.name.endswith(".part")):
            if _untouched(path, PART_SECONDS):
                report.add("part", str(path), "it was left over when something was interrupted")
    there = next((each for each in (place, *place.parents) if each.is_dir()), place)
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE:
        report.add("disk", str(there), f"{free / 1e6:,.0f} MB are free; make room")
