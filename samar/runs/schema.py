"""Tables of the store and the migrations that make them, each a plain function."""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Float, ForeignKey, Integer, String, Text

from samar.errors import RunError

metadata = sa.MetaData()


def _of_run() -> Column[int]:
    return Column("run", Integer, ForeignKey("runs.key", ondelete="CASCADE"), nullable=False)


runs = sa.Table(
    "runs",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
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
    Column("total_steps", Integer),
    Column("device", String(255)),
    Column("claim", Integer, nullable=False, default=0),
    Column("pinned", Integer, nullable=False, default=0, server_default="0"),
    Column("tags", Text, nullable=False, default="", server_default=""),
    Column("sweep", String(32), index=True),
    sqlite_autoincrement=True,
)

sweeps = sa.Table(
    "sweeps",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("name", String(80), nullable=False),
    Column("spec", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created", Float, nullable=False),
    sqlite_autoincrement=True,
)

steps = sa.Table(
    "steps",
    metadata,
    _of_run(),
    Column("step", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("loss", Float),
    Column("perturbed_loss", Float),
    Column("sharpness", Float),
    Column("ratio", Float),
    Column("lam", Float),
    Column("grad_norm", Float),
    Column("lr", Float),
    Column("grad_evals", Integer),
    Column("seconds", Float),
    sa.PrimaryKeyConstraint("run", "step"),
    sqlite_with_rowid=False,
)

epochs = sa.Table(
    "epochs",
    metadata,
    _of_run(),
    Column("epoch", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("grad_evals", Integer),
    Column("seconds", Float),
    Column("train_loss", Float),
    Column("train_accuracy", Float),
    Column("train_images", Integer),
    Column("test_loss", Float),
    Column("test_accuracy", Float),
    Column("gap", Float),
    Column("val_loss", Float),
    Column("val_accuracy", Float),
    sa.PrimaryKeyConstraint("run", "epoch"),
    sqlite_with_rowid=False,
)

events = sa.Table(
    "events",
    metadata,
    Column("key", Integer, primary_key=True),
    _of_run(),
    Column("step", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    sa.Index("events_of_run", "run", "step"),
    sqlite_autoincrement=True,
)

controls = sa.Table(
    "controls",
    metadata,
    Column("key", Integer, primary_key=True),
    _of_run(),
    Column("command", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", Float, nullable=False),
    sa.Index("controls_of_run", "run", "key"),
    sqlite_autoincrement=True,
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    Column("key", Integer, primary_key=True),
    _of_run(),
    Column("kind", String(32), nullable=False),
    Column("step", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("at", Float, nullable=False),
    sa.UniqueConstraint("run", "kind", "step"),
)

version = sa.Table("schema_version", metadata, Column("version", Integer, nullable=False))


def _add_validation_marks_and_sweeps(connection: Connection) -> None:
    """From 0 to 1."""
    for name in ("val_loss", "val_accuracy"):
        connection.execute(sa.text(f"ALTER TABLE epochs ADD COLUMN {name} FLOAT"))
    for column in (
        "pinned INTEGER NOT NULL DEFAULT 0",
        "tags TEXT NOT NULL DEFAULT ''",
        "sweep VARCHAR(32)",
    ):
        connection.execute(sa.text(f"ALTER TABLE runs ADD COLUMN {column}"))
    connection.execute(sa.text("CREATE INDEX ix_runs_sweep ON runs (sweep)"))
    sweeps.create(connection)


# Each brings an existing store one version further; a new store starts at the newest version.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_add_validation_marks_and_sweeps,)


def migrate(connection: Connection) -> None:
    """Make or update the tables inside the caller's transaction.

    Raises:
        RunError: the store was written by a newer samar.
    """
    version.create(connection, checkfirst=True)
    found = connection.execute(sa.select(version.c.version)).scalar()
    if found is None:
        metadata.create_all(connection)
        connection.execute(version.insert().values(version=len(MIGRATIONS)))
        return
    if found > len(MIGRATIONS):
        raise RunError(
            f"The run store is at version {found}, newer than this samar knows; update samar or "
            "point SAMAR_HOME to another folder."
        )
    for migration in MIGRATIONS[found:]:
        migration(connection)
    connection.execute(version.update().values(version=len(MIGRATIONS)))
