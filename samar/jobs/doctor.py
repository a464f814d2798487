"""A health check of a store and the files beside it; nothing is changed."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from samar.errors import RunError, SamarError
from samar.home import home, jobs_folder
from samar.jobs.job import HELD, job_dir, job_from
from samar.jobs.sql import schema
from samar.jobs.sql.database import Database, store_url

LEAST_FREE = 2**30
"""Bytes of free space on the disk below which jobs will soon end for want of room."""
MOST_LINES = 20
"""Problems that SQLite itself reports."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: what was looked at: ``store``, ``integrity``, ``row``, ``file``, ``folder``,
            ``orphan``, ``model`` or ``disk``.
        about: the job, file or folder.
        problem: what is wrong with it.
    """

    check: str
    about: str
    problem: str

    def __str__(self) -> str:
        return f"{self.about}: {self.problem}"


@dataclass
class Report:
    """The findings of an examination.

    Attributes:
        store: its URL, without a password.
        readable: whether the store could be opened at all.
        jobs: how many jobs it has; None where there is no store, or none that can be opened.
    """

    store: str
    readable: bool = True
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
    """Look at the store, its jobs, their files and the disk.

    Args:
        url: as for :class:`samar.jobs.store.Store`.
    """
    report = Report(url or "SAMAR_STORE")
    try:
        where = store_url(url)
        report.store = where.render_as_string()
        is_file = where.get_backend_name() == "sqlite"
        if not is_file or Path(where.database or "").exists():
            _examine_store(report, Database(url))
        nearest = next(path for path in (home(), *home().parents) if path.is_dir())
        if (free := shutil.disk_usage(nearest).free) < LEAST_FREE:
            report.add("disk", str(nearest), f"{free / 1e6:,.0f} MB are free; make room")
    except (SamarError, sa.exc.ArgumentError, OSError) as error:
        report.readable = False
        report.add("store", report.store, str(error))
    return report


def _examine_store(report: Report, database: Database) -> None:
    with database.read() as db:
        if db.dialect.name == "sqlite":
            for (line,) in db.exec_driver_sql(f"PRAGMA integrity_check({MOST_LINES})"):
                if line != "ok":
                    report.add("integrity", report.store, " ".join(line.split()))
        rows = db.execute(sa.select(schema.jobs)).mappings().all()
        artifacts = sa.select(schema.artifacts.c.job, schema.artifacts.c.path)
        files = {row.key: list[str]() for row in rows}
        for key, path in db.execute(artifacts.order_by(schema.artifacts.c.key)):
            files.setdefault(key, []).append(path)
    database.engine.dispose()
    report.jobs = len(rows)
    for row in rows:
        about = f"job #{row.key}"
        try:
            job_from(row)
        except RunError as error:
            report.add("row", about, str(error))
        if row.status not in HELD:  # a job at work removes files before the store knows
            _examine_files(report, about, job_dir(row.id), files[row.key])
    known = {row.id for row in rows}
    for path in sorted(jobs_folder().glob("*")):
        if path.is_dir() and path.name not in known:
            report.add("orphan", str(path), "it belongs to no job of the store")


def _examine_files(report: Report, about: str, folder: Path, files: Iterable[str]) -> None:
    if files and not folder.is_dir():
        report.add("folder", about, f"the folder of its files is missing: {folder}")
        return
    for path in files:
        if not (folder / path).is_file():
            report.add("file", about, f"its file {path} is missing")
