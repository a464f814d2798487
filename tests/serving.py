"""A Streamlit server in a process of its own, as users start it."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests import forked

ROOT = Path(__file__).parents[1]
APP = ROOT / "app.py"
START_SECONDS = 30


@dataclass(frozen=True)
class Server:
    """One that answers.

    Attributes:
        address: ``http://127.0.0.1:PORT``.
        pid: of the process.
        log: what it prints.
    """

    address: str
    pid: int
    log: Path

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.address.rpartition(":")[2])


@contextmanager
def serving(
    home: Path,
    app: Path = APP,
    *options: str,
    root: Path = ROOT,
    forks: bool = False,
    **environment: str,
) -> Iterator[Server]:
    """Serve an app over a home of its own; in the end nothing that it started is left.

    Args:
        options: of the command line.
        root: of the repository, whose .streamlit/config.toml is what users get.
        forks: whether its workers are forked, which is quicker (see :mod:`tests.forked`).
        environment: further variables.

    Raises:
        AssertionError: it does not answer, with what it printed.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = ["-m", "streamlit"]
    if forks and forked.FORKS:
        forked.forking()
        program = ["-m", "tests.forked", "streamlit"]
    command = [sys.executable, *program, "run", str(app), "--server.port", str(port)]
    command += ["--server.headless", "true", "--server.fileWatcherType", "none"]
    command += ["--client.showErrorDetails", "full", *options]
    variables = {"SAMAR_HOME": str(home), "PYTHONPATH": str(root), **environment}
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=root, env=os.environ | variables, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_healthy(process, address, log)
            yield Server(address, process.pid, log)
        finally:
            _end(process)
            forked.end_workers(home)


def _wait_until_healthy(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    said = log.read_text(errors="replace")
    raise AssertionError(f"Streamlit did not start at {address}:\n{said}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    workers = []
    with suppress(psutil.NoSuchProcess):
        workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()  # a tidy end takes seconds and is of no use here
    process.wait()
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.kill()
