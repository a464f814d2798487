"""The migrations that bring an older store up to date, each a plain function."""

import json
from collections.abc import Callable

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection

from samar.errors import RunError
from samar.jobs.sql import blocks
from samar.jobs.sql.schema import epochs, events, jobs, metadata, object_of, steps, version


def _add_validation_marks_and_sweeps(connection: Connection) -> None:
    """From 0 to 1."""
    _run(
        connection,
        *(f"ALTER TABLE epochs ADD COLUMN {name} FLOAT" for name in ("val_loss", "val_accuracy")),
        "ALTER TABLE runs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN tags TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN sweep VARCHAR(32)",
        "CREATE INDEX ix_runs_sweep ON runs (sweep)",
        "CREATE TABLE sweeps (key INTEGER PRIMARY KEY AUTOINCREMENT, id VARCHAR(32) NOT NULL, "
        "name VARCHAR(80) NOT NULL, spec TEXT NOT NULL, status VARCHAR(16) NOT NULL, "
        "created FLOAT NOT NULL, UNIQUE (id))",
    )


def _make_everything_a_job(connection: Connection) -> None:
    """From 1, the last of version 0.1, to 2: runs become jobs, and so do sweeps."""
    _run(
        connection,
        "DROP INDEX IF EXISTS ix_runs_status",
        "DROP INDEX IF EXISTS ix_runs_sweep",
        "DROP INDEX IF EXISTS events_of_run",
        "DROP INDEX IF EXISTS controls_of_run",
        "ALTER TABLE runs RENAME TO jobs",
        "ALTER TABLE jobs RENAME COLUMN sweep TO parent",
        "ALTER TABLE jobs RENAME COLUMN total_steps TO total",
        *(
            f"ALTER TABLE jobs ADD COLUMN {column}"
            for column in (
                "kind VARCHAR(32) NOT NULL DEFAULT 'train'",
                "process FLOAT",
                "inputs TEXT NOT NULL DEFAULT ''",
                "fingerprint VARCHAR(64)",
                "done INTEGER NOT NULL DEFAULT 0",
                "doing TEXT NOT NULL DEFAULT ''",
                "summary TEXT NOT NULL DEFAULT ''",
            )
        ),
        *(
            f"ALTER TABLE {table} RENAME COLUMN run TO job"
            for table in ("steps", "epochs", "events", "controls", "artifacts")
        ),
        "ALTER TABLE artifacts ADD COLUMN summary TEXT NOT NULL DEFAULT ''",
        "UPDATE artifacts SET path = 'film/' || path WHERE kind IN ('film_plane', 'film_line')",
        "UPDATE artifacts SET path = 'snapshots/' || path WHERE kind = 'snapshot'",
        "INSERT INTO jobs (id, kind, name, config, status, message, created, started, claim) "
        "SELECT id, 'sweep', name, spec, status, '', created, created, 0 FROM sweeps ORDER BY key",
        "DROP TABLE sweeps",
        "UPDATE jobs SET done = coalesce((SELECT max(step) FROM steps WHERE job = jobs.key), 0)",
        "CREATE INDEX ix_jobs_status ON jobs (status)",
        "CREATE INDEX ix_jobs_parent ON jobs (parent)",
        "CREATE INDEX ix_jobs_fingerprint ON jobs (fingerprint)",
        "CREATE INDEX events_of_job ON events (job, step)",
        "CREATE INDEX controls_of_job ON controls (job, key)",
    )
    every = epochs.alias()
    newest = sa.select(sa.func.max(every.c.epoch)).where(every.c.job == epochs.c.job)
    rows = sa.select(epochs).where(epochs.c.epoch == newest.scalar_subquery())
    for row in connection.execute(rows).all():
        epoch = {name: value for name, value in row._mapping.items() if name != "job"}
        same = jobs.update().where(jobs.c.key == row.job)
        connection.execute(same.values(summary=json.dumps({"epoch": epoch})))


def _count_edits(connection: Connection) -> None:
    """From 2 to 3: a job's summary says how often its settings were changed."""
    changes = sa.select(events.c.job, sa.func.count()).where(events.c.kind == "change")
    for key, count in connection.execute(changes.group_by(events.c.job)).all():
        own = jobs.c.key == key
        summary = object_of(connection.execute(sa.select(jobs.c.summary).where(own)).scalar())
        if summary is not None:
            text = json.dumps({**summary, "edits": count})
            connection.execute(jobs.update().where(own).values(summary=text))


def _put_steps_into_blocks(connection: Connection) -> None:
    """From 3 to 4: a step is no longer a row of its own; what is no number is left out."""
    _run(connection, "ALTER TABLE steps RENAME TO step_rows")
    steps.create(connection)
    number = "CASE WHEN typeof({0}) IN ('integer', 'real') THEN {0} END"
    columns = ", ".join(number.format(name) for name in blocks.COLUMNS)
    known = "FROM step_rows WHERE job IN (SELECT key FROM jobs) AND typeof(step) = 'integer'"
    for (job,) in connection.execute(sa.text(f"SELECT DISTINCT job {known}")).all():
        query = sa.text(f"SELECT {columns} {known} AND job = :job ORDER BY step")
        for piece in connection.execute(query, {"job": job}).partitions(blocks.MOST):
            blocks.append(connection, job, np.array([tuple(row) for row in piece], blocks.FORMAT))
    _run(connection, "DROP TABLE step_rows")


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(sa.text(statement))


# Each brings an existing store one version further; a new store starts at the newest version.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (
    _add_validation_marks_and_sweeps,
    _make_everything_a_job,
    _count_edits,
    _put_steps_into_blocks,
)


def migrate(connection: Connection) -> None:
    """Make or update the tables inside the caller's transaction.

    Raises:
        RunError: the store was written by a newer samar, or its version is no number.
        sqlalchemy.exc.DatabaseError: a table or a column is missing.
    """
    if not sa.inspect(connection).has_table(version.name):
        metadata.create_all(connection)
        connection.execute(version.insert().values(version=len(MIGRATIONS)))
        return
    found: object = connection.execute(sa.select(version.c.version)).scalar()
    if not isinstance(found, int) or found < 0:
        raise RunError(
            f"its version is {found!r}, where a number should be; see what can be saved with: "
            "python -m samar doctor"
        )
    if found > len(MIGRATIONS):
        raise RunError(
            f"the store is at version {found}, newer than this samar knows; update samar or "
            "point SAMAR_HOME to another folder."
        )
    for migration in MIGRATIONS[found:]:
        migration(connection)
    if found < len(MIGRATIONS):  # a disk without room lets a store be opened and read
        connection.execute(version.update().values(version=len(MIGRATIONS)))
    for table in metadata.sorted_tables:
        connection.execute(sa.select(table).limit(0))
