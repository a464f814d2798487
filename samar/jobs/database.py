"""The connection to the store: one engine, two kinds of transaction.

SQLite runs in WAL mode, so that readers never wait for the worker, and a process killed at any
moment leaves the last committed transaction intact. Writers take the lock at once (``BEGIN
IMMEDIATE``), so that reading and then claiming a run is one step.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, event

from samar.errors import RunError
from samar.jobs.schema import migrate


class Database:
    """An engine for a URL, with its tables made or migrated.

    Raises:
        RunError: the store cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._open = threading.local()
        try:
            self.engine = sa.create_engine(url)
            if self.engine.dialect.name == "sqlite":
                Path(self.engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
                event.listen(self.engine, "connect", _configure_sqlite)
                event.listen(self.engine, "begin", _begin_sqlite)
            with self.write() as connection:
                migrate(connection)
        except (sa.exc.SQLAlchemyError, OSError, ImportError) as error:
            reason = getattr(error, "orig", None) or error
            raise RunError(
                f"The store {url} cannot be opened ({reason}); check the folder, or set "
                "SAMAR_HOME to another one."
            ) from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; never blocks a writer."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it, or nothing if an exception passes.

        Within another one of the same thread it is a part of that.
        """
        outer: Connection | None = getattr(self._open, "connection", None)
        if outer is not None:
            yield outer
            return
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            self._open.connection = connection
            try:
                yield connection
            finally:
                self._open.connection = None


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "busy_timeout=15000",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
