"""A PostgreSQL server of the tests' own, where the machine has the programs for one."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

DEBIAN = Path("/usr/lib/postgresql")
ROOT = sys.platform != "win32" and os.geteuid() == 0
OTHER = "postgres"
"""Who runs the server where the tests run as root, which PostgreSQL refuses to be."""
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


def program(name: str) -> str | None:
    """The path of one of PostgreSQL's programs; the newest of those that Debian has."""
    places = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return shutil.which(name) or (str(places[-1]) if places else None)


class Server:
    """A server that can be stopped, started and stopped hard.

    Attributes:
        folder: where it keeps everything.
        port: of 127.0.0.1, where it listens.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        if ROOT:
            shutil.chown(folder, OTHER)
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "samar", "-N")
        self._made, self.runs = 0, False

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if self.runs:
            return
        self.runs = True
        options = f"{FAST} -p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
        data, log = str(self.folder / "data"), str(self.folder / "log")
        self._run("pg_ctl", "start", "-w", "-D", data, "-o", options, "-l", log)

    def stop(self, mode: str = "fast") -> None:
        """Stop it; whoever is connected is cut off."""
        self.runs = False
        self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self.folder / "data"))

    def fresh(self) -> str:
        """The URL of a new, empty database."""
        self._made += 1
        name = f"samar_{self._made}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as db:
            db.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql+psycopg://samar@127.0.0.1:{self.port}/{database}"

    def _run(self, name: str, *arguments: str) -> None:
        command = program(name)
        assert command, f"{name} is absent: apt-get install postgresql"
        subprocess.run(
            [command, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            user=OTHER if ROOT else None,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            timeout=60,
        )


@contextmanager
def postgres() -> Iterator[Server]:
    """A server that runs."""
    folder = Path(tempfile.mkdtemp(prefix="samar-pg-"))
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")
        for _ in range(20):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.1)
