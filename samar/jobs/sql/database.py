"""The connection to the store: one engine, two kinds of transaction.

SQLite runs in WAL mode, so that readers never wait for the worker, and a process killed at any
moment leaves the last committed transaction intact. Writers take the lock at once (``BEGIN
IMMEDIATE``), so that reading and then claiming a run is one step.

PostgreSQL lets many write at once. What has to be one step there, or to be numbered in the order in
which it is committed, takes turns (:func:`take_turn`).
"""

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from samar.errors import ConfigError, RunError
from samar.home import home
from samar.jobs.sql.schema import make_tables

POSTGRESQL = "postgresql+psycopg"
ON_SERVER: dict[str, Any] = {
    "pool_pre_ping": True,  # a connection that a restart of the server cut is replaced
    "connect_args": {
        "application_name": "samar",
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15_000,
    },
}
"""So a server that is away is noticed within seconds, whatever lies between."""
PASSING = ("locked", "full", "disk i/o error")
"""Words in what a database says when it may work again in a moment, or once there is room."""
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"


class StoreBusy(RunError, OperationalError):
    """The store cannot be used at the moment; what waits for it may try again."""

    def __init__(self, sentence: str, cause: OperationalError) -> None:
        OperationalError.__init__(self, cause.statement, cause.params, cause.orig or cause)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


class Database:
    """An engine for a URL, see :func:`store_url`, with the tables of a store.

    Raises:
        RunError: the store cannot be opened.
    """

    def __init__(self, url: str | None = None) -> None:
        self._open = threading.local()
        self._reading: dict[str, Any] = {}
        self.name = url or os.environ.get("SAMAR_STORE") or ""
        try:
            where = store_url(url)
            self.name = where.render_as_string()
            on_server = where.get_backend_name() == "postgresql"
            self.engine = sa.create_engine(where, **(ON_SERVER if on_server else {}))
            weakref.finalize(self, self.engine.dispose)  # a server has few connections
            if on_server:
                self._reading = {
                    "isolation_level": "REPEATABLE READ",
                    "postgresql_readonly": True,
                }
            if self.engine.dialect.name == "sqlite":
                if where.database and where.database != ":memory:":
                    Path(where.database).parent.mkdir(parents=True, exist_ok=True)
                event.listen(self.engine, "connect", _configure_sqlite)
                event.listen(self.engine, "begin", _begin_sqlite)
            with self.engine.connect().execution_options(writes=True) as db, db.begin():
                take_turn(db, "schema")
                make_tables(db)
        except RunError as error:
            raise RunError(f"The store {self.name} cannot be opened: {error}") from None
        except sa.exc.DatabaseError as error:
            raise self._explained(error, "cannot be opened") from None
        except ModuleNotFoundError as error:
            raise RunError(
                f"The store {self.name} needs the package {error.name}; install it: "
                "pip install -r requirements-cluster.txt"
            ) from None
        except (sa.exc.SQLAlchemyError, OSError, ImportError, ValueError, TypeError) as error:
            raise RunError(
                f"The store {self.name} cannot be opened ({error}); check the folder and "
                "SAMAR_STORE, or set SAMAR_HOME to another one."
            ) from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; never blocks a writer.

        Raises:
            RunError: the store is damaged.
            StoreBusy: it cannot be read at the moment.
        """
        reading = self.engine.connect
        with self._checked(), reading().execution_options(**self._reading) as connection:
            yield connection

    def changes(self) -> int | None:
        """A number that another one follows when somebody has written; None if that is not told.

        It costs next to nothing, and counts for the thread that asks.
        """
        if self.engine.dialect.name != "sqlite":
            return None
        connection = getattr(self._open, "counting", None)
        with self._checked():
            if connection is None:
                connection = self._open.counting = self.engine.connect()
                connection.detach()  # each thread keeps one, and the pool has few
            (number,) = connection.connection.execute("PRAGMA data_version").fetchone()
        return int(number)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it, or nothing if an exception passes.

        Within another one of the same thread it is a part of that.

        Raises:
            RunError: the store is damaged.
            StoreBusy: it cannot be written at the moment.
        """
        outer: Connection | None = getattr(self._open, "connection", None)
        if outer is not None:
            yield outer
            return
        writing = self.engine.connect
        with (
            self._checked(),
            writing().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            self._open.connection = connection
            try:
                yield connection
            finally:
                self._open.connection = None

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except RunError:
            raise
        except self.engine.dialect.loaded_dbapi.OperationalError as error:  # while rows are read
            wrapped = OperationalError(None, None, error)
            raise self._explained(wrapped, "cannot be used") from None
        except (sa.exc.DatabaseError, self.engine.dialect.loaded_dbapi.DatabaseError) as error:
            raise self._explained(error, "cannot be used") from None

    def _explained(self, error: Exception, problem: str) -> RunError:
        """What a database said, as a sentence with a way out."""
        reason = str(getattr(error, "orig", None) or error).strip().replace("\n", " ")
        told = f"The store {self.name} {problem} ({reason})"
        if isinstance(error, OperationalError) and self.engine.dialect.name != "sqlite":
            told += "; what waits for it goes on when its server is there again (SAMAR_STORE)."
            return StoreBusy(told, error)
        if isinstance(error, OperationalError):
            if any(word in reason.lower() for word in PASSING):
                return StoreBusy(f"{told}; make room if the disk is full, then try again.", error)
            if "readonly" in reason:
                self.engine.dispose()  # a connection that could only read never writes
                told += "; make its disk writable, or set SAMAR_HOME to another folder."
                return StoreBusy(told, error)
            if "unable to open" in reason or "connect" in reason:
                return RunError(f"{told}; check the folder, or set SAMAR_HOME to another one.")
        return RunError(f"{told}; see: python -m samar doctor")


def take_turn(db: Connection, what: str) -> None:
    """Wait until no other open transaction has taken this turn; it ends with the transaction.

    SQLite lets one transaction write at a time, so that there is nothing to wait for.
    """
    if db.dialect.name == "postgresql":
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(what, 0))))


def clock(db: Connection) -> float:
    """Seconds since 1970 by a clock that all who use the store share: a server's own."""
    if db.dialect.name == "postgresql":
        now = sa.extract("epoch", sa.func.clock_timestamp())
        return float(db.execute(sa.select(now)).scalar_one())
    return time.time()


def store_url(text: str | None = None) -> sa.URL:
    """The URL of a store; ``~`` in the path of a file is expanded.

    Args:
        text: ``SAMAR_STORE``, or a file in :func:`samar.home.home`, if None. PostgreSQL is spoken
            to with psycopg unless the URL names another driver.

    Raises:
        ConfigError: the path names a user that does not exist.
        sqlalchemy.exc.ArgumentError: it is no URL.
    """
    text = text or os.environ.get("SAMAR_STORE")
    if not text:
        return sa.URL.create("sqlite", database=str(home() / "samar.db"))
    url = sa.make_url(text)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername=POSTGRESQL)
    if url.get_backend_name() != "sqlite" or not (url.database or "").startswith("~"):
        return url
    try:
        return url.set(database=str(Path(url.database or "").expanduser()))
    except RuntimeError:
        raise ConfigError(
            f"SAMAR_STORE is {text!r}, but there is no such user; write the path in full."
        ) from None


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    try:
        connection.execute("PRAGMA busy_timeout=15000")
        _check_whose(connection)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
    except Exception:
        connection.close()
        raise


def _check_whose(connection: Any) -> None:
    """Refuse another program's file before anything is written to it."""
    tables = {name for (name,) in connection.execute(TABLES)}
    if tables and "schema_version" not in tables:
        shown = ", ".join(sorted(tables)[:3])
        raise RunError(
            f"it is an SQLite file without the tables of a store (it has {shown}); choose another "
            "file with SAMAR_STORE, or see: python -m samar doctor"
        )


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
