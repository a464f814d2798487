"""A store's jobs, with their records and files, copied into another store.

So a laptop's runs move into a laboratory's store and back. Jobs keep their ids; their numbers are
those that are free where they come to. One that is there already stays as it is, so that a copy
that was broken off goes on when it is asked for again.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from samar.errors import ConfigError, RunError
from samar.home import jobs_folder
from samar.jobs.job import ACTIVE, HELD
from samar.jobs.kind import in_lane
from samar.jobs.sql import schema
from samar.jobs.sql.database import Database, store_url
from samar.settings.paths import expanded, is_folder

PIECE = 2000
"""Rows that are copied at once."""
PARTLY = ".copy-"


@dataclass(frozen=True)
class Place:
    """A store and the folder of its jobs' files."""

    database: Database
    files: Path


@dataclass
class Copied:
    """What became of the jobs of a store, by their ids.

    Attributes:
        copied: those that were not there.
        there: those that were, and stay as they are.
        active: those that wait, run or are paused, and coordinators that have not ended because
            of one that they own; they stay where they are.
        refused: why the others could not be copied.
    """

    copied: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    active: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def place(text: str, files: str | None = None, *, new: bool = False) -> Place:
    """Where a store is.

    Args:
        text: the URL of a store, or a folder such as ``SAMAR_HOME`` names.
        files: the folder of its jobs' files; may be left out where ``text`` is a folder.
        new: whether a folder without a store gets one, and files a folder.

    Raises:
        ConfigError: a URL without a folder, a folder without a store, a folder of files that is
            none, or one of an unknown user.
        RunError: the store cannot be opened.
    """
    if files is not None and not new and not is_folder(expanded(files)):
        raise ConfigError(
            f"There is no folder {expanded(files)}; give the one that holds the jobs' files."
        )
    if "://" in text:
        if files is None:
            raise ConfigError(
                f"{text} says nothing about the jobs' files; give their folder, such as "
                "SAMAR_ARTIFACTS, with --from-files or --to-files."
            )
        return Place(Database(text), expanded(files))
    folder = expanded(text)
    if folder.is_file():
        raise ConfigError(f"{text} is a file; give the folder of the store, or a URL.")
    if not new and not (folder / "samar.db").is_file():
        raise ConfigError(f"There is no store in {folder}; give the folder that holds samar.db.")
    url = sa.URL.create("sqlite", database=str(folder / "samar.db"))
    return Place(Database(str(url)), expanded(files) if files else _files_of(folder))


def _files_of(folder: Path) -> Path:
    """Where the jobs of a folder's store have their files.

    ``SAMAR_ARTIFACTS`` names those of the store that ``SAMAR_HOME`` or ``SAMAR_STORE`` names.
    """
    try:
        used = Path(store_url().database or "")
    except (ConfigError, sa.exc.ArgumentError):  # it names none
        return folder / "runs"
    same = used.resolve() == (folder / "samar.db").resolve()
    return expanded(jobs_folder()) if same else folder / "runs"


def copy_jobs(source: Place, target: Place, tell: Callable[[int, int], None]) -> Copied:
    """Copy what is not there yet, oldest first; every job is one transaction.

    Args:
        tell: called with how many jobs are done, of how many.

    Raises:
        ConfigError: both are the same store.
        RunError: a store cannot be used.
        OSError: a file cannot be copied.
    """
    if str(source.database.engine.url) == str(target.database.engine.url):
        raise ConfigError("Both stores are the same; name two.")
    table, found = schema.jobs, Copied()
    with source.database.read() as db:
        rows = [dict(row) for row in db.execute(sa.select(table).order_by(table.c.key)).mappings()]
    with target.database.read() as db:
        there = set(db.execute(sa.select(table.c.id)).scalars())
    ends = _ended(rows)
    for done, row in enumerate(rows, start=1):
        job_id = row["id"]
        if job_id in there:
            found.there.append(job_id)
        elif job_id not in ends or (row["status"] in ACTIVE and row["parent"] in found.refused):
            found.active.append(job_id)
        else:
            try:
                _copy(source, target, row)
                found.copied.append(job_id)
            except RunError as error:
                found.refused[job_id] = str(error)
        tell(done, len(rows))
    return found


def _ended(rows: list[dict[str, Any]]) -> set[str]:
    """The jobs that can be copied.

    A coordinator that was stopped, or failed, takes those along that wait for it alone, once none
    of its jobs is at work.
    """
    at_work = {row["parent"] for row in rows if row["status"] in HELD}
    resting = {
        row["id"]
        for row in rows
        if in_lane(row["kind"], None) and row["status"] in ("stopped", "failed")
    }
    found = {row["id"] for row in rows if row["status"] not in ACTIVE} - (resting & at_work)
    resting -= at_work
    waiting = (row for row in rows if row["status"] == "queued" and row["parent"] in resting)
    return found | {row["id"] for row in waiting}


def _copy(source: Place, target: Place, row: dict[str, Any]) -> None:
    """One job. Its files come first: what the store names is always there.

    Raises:
        RunError: the source names files of it, and has no folder with them.
    """
    old, new = source.files / row["id"], target.files / row["id"]
    if not old.is_dir():
        named = sa.select(schema.artifacts.c.key).where(schema.artifacts.c.job == row["key"])
        with source.database.read() as db:
            if db.execute(named.limit(1)).first() is not None:
                raise RunError(
                    f"there is no folder {old} with its files; give the folder that holds those of "
                    "all jobs with --from-files, or make an empty one if they are lost."
                )
    elif old.resolve() != new.resolve():
        part = new.with_name(PARTLY + new.name)
        for unfinished in (part, new):  # of a copy that was broken off
            shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(old, part)
        part.rename(new)
    values = {name: value for name, value in row.items() if name != "key"}
    with source.database.read() as reading, target.database.write() as db:
        db.execute(schema.jobs.insert().values(**values))
        own = sa.select(schema.jobs.c.key).where(schema.jobs.c.id == row["id"])
        key = db.execute(own).scalar_one()
        for table in (schema.steps, schema.epochs, schema.events, schema.artifacts):
            for piece in _pieces(reading, table, row["key"]):
                db.execute(table.insert(), [{**each, "job": key} for each in piece])


def _pieces(db: sa.Connection, table: sa.Table, job: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of a job in their order, without the numbers that the store gave them."""
    columns = [column for column in table.c if column.name != "key"]
    order = next(table.c[name] for name in ("key", "last", "step") if name in table.c)
    query = sa.select(*columns).where(table.c.job == job).order_by(order)
    for piece in db.execute(query).mappings().partitions(PIECE):
        yield [dict(each) for each in piece]
