"""The tables of the store, which carry a version."""

from dataclasses import fields

import sqlalchemy as sa
from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, String, Text

from samar.errors import RunError
from samar.jobs.training_records import EpochRecord

VERSION = 6
"""The version of the tables below; a store of another one is refused."""

metadata = sa.MetaData()


def _of_job() -> Column[int]:
    return Column("job", Integer, ForeignKey("jobs.key", ondelete="CASCADE"), nullable=False)


jobs = sa.Table(
    "jobs",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("kind", String(32), nullable=False, default="train", server_default="train"),
    Column("name", String(80), nullable=False),
    Column("config", Text, nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("message", Text, nullable=False, default=""),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("heartbeat", Float),
    Column("host", String(255)),
    Column("pid", Integer),
    Column("process", Float),
    Column("device", String(255)),
    Column("claim", Integer, nullable=False, default=0),
    Column("pinned", Integer, nullable=False, default=0, server_default="0"),
    Column("tags", Text, nullable=False, default="", server_default=""),
    Column("parent", String(32), index=True),
    Column("inputs", Text, nullable=False, default="", server_default=""),
    Column("fingerprint", String(64), index=True),
    Column("done", Integer, nullable=False, default=0, server_default="0"),
    Column("total", Integer),
    Column("doing", Text, nullable=False, default="", server_default=""),
    Column("summary", Text, nullable=False, default="", server_default=""),
    sqlite_autoincrement=True,
)

steps = sa.Table(
    "steps",
    metadata,
    _of_job(),
    Column("last", Integer, nullable=False),
    Column("rows", LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("job", "last"),
)
"""Steps of training runs, many in a row of the table; see :mod:`samar.jobs.sql.blocks`."""

epochs = sa.Table(
    "epochs",
    metadata,
    _of_job(),
    *(
        Column(
            field.name,
            Integer if field.type is int else Float,
            nullable=field.name not in ("epoch", "step"),
        )
        for field in fields(EpochRecord)
    ),
    sa.PrimaryKeyConstraint("job", "epoch"),
    sqlite_with_rowid=False,
)

events = sa.Table(
    "events",
    metadata,
    Column("key", Integer, primary_key=True),
    _of_job(),
    Column("step", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    sa.Index("events_of_job", "job", "step"),
    sqlite_autoincrement=True,
)

controls = sa.Table(
    "controls",
    metadata,
    Column("key", Integer, primary_key=True),
    _of_job(),
    Column("command", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", Float, nullable=False),
    sa.Index("controls_of_job", "job", "key"),
    sqlite_autoincrement=True,
)

watched = sa.Table(
    "watched",
    metadata,
    _of_job(),
    Column("until", Float, nullable=False),
    sa.PrimaryKeyConstraint("job"),
)
"""Until when somebody watches a job, whose records come the sooner."""

artifacts = sa.Table(
    "artifacts",
    metadata,
    Column("key", Integer, primary_key=True),
    _of_job(),
    Column("kind", String(32), nullable=False),
    Column("step", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("summary", Text, nullable=False, default="", server_default=""),
    sa.UniqueConstraint("job", "kind", "step"),
)

version = sa.Table("schema_version", metadata, Column("version", Integer, nullable=False))


def make_tables(connection: sa.Connection) -> None:
    """Make the tables of a new store, inside the caller's transaction.

    Raises:
        RunError: the store is there, and has another version.
    """
    if not sa.inspect(connection).has_table(version.name):
        metadata.create_all(connection)
        connection.execute(version.insert().values(version=VERSION))
        return
    stored: object = connection.execute(sa.select(version.c.version)).scalar()
    if stored != VERSION:
        raise RunError(
            f"it is a store of version {stored!r}, and this samar reads version {VERSION} alone; "
            "open it with the samar that wrote it, or set SAMAR_HOME to another folder to begin a "
            "new store."
        )
