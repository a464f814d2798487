"""A process that has imported and rehearsed what jobs need, and waits for them.

A fresh process needs seconds to import torch; the spare, a worker without a job, has done so. Where
processes can be forked, each job gets a copy of the spare, which goes on waiting; elsewhere the
spare does one job itself, and another takes its place. At end-of-file it ends. Only a long-lived
process keeps one (:func:`keep`): the server of the browser app. A job of the spare ends bit for bit
like one in a fresh process. ``SAMAR_SPARE=0`` switches it off.
"""

import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from samar.device.catalog import TORCHRUN
from samar.home import PACKAGE
from samar.jobs.job import Job
from samar.jobs.kind import kind_of, kinds


def start_process(
    arguments: list[str],
    log: Path | None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
    variables: Mapping[str, str] | None = None,
    detached: bool = True,
) -> "subprocess.Popen[bytes]":
    """Start a Python process, usually one that outlives this one.

    Args:
        arguments: of Python.
        log: where it prints.
        stdout: where else, but for what goes wrong.
        variables: environment variables besides those of this process.
        detached: whether it has a session of its own, which the end of this one's does not end.
    """
    package_parent = str(PACKAGE.parent)
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [package_parent, *(path for path in others if path not in ("", package_parent))]
    how: dict[str, object] = {"start_new_session": detached}
    if sys.platform == "win32" and detached:
        how = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    environment = {
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads leave their core to the browser
        **{name: value for name, value in os.environ.items() if name != TORCHRUN},
        **(variables or {}),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    with Path(os.devnull if log is None else log).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=stdin,
            stdout=output if stdout is None else stdout,
            stderr=output,
            env=environment,
            **how,  # type: ignore[call-overload]
        )
    # Reaps the process when it ends, so that it does not linger as a zombie of a long-lived server.
    threading.Thread(target=process.wait, daemon=True).start()
    return process  # type: ignore[no-any-return]


RENEW_SECONDS = 10.0
IDLE_SECONDS = 900.0
ANSWER_SECONDS = 5.0
FORK = "fork"
"""Before a job's id: let a copy do it, and answer with the number of its process."""
COMPANION = "companion"
"""Between them: the job may want a companion (see ``companion``), so make a copy for that too."""


class Spare:
    """One such process.

    Attributes:
        code: the newest change of the code when it started.
        wanted: when somebody last asked for it.
    """

    def __init__(self) -> None:
        self.code, self.wanted = _newest_code(), time.monotonic()
        pipe = subprocess.PIPE
        self.process = start_process(["-m", "samar.jobs.engine.worker"], None, pipe, stdout=pipe)
        self._forks = False

    @property
    def usable(self) -> bool:
        """Whether it lives, and would run the code of today."""
        return self.process.poll() is None and self.code == _newest_code()

    @property
    def forks(self) -> bool:
        """Whether it is ready to be copied; nobody waits for that."""
        if not self._forks and hasattr(os, "fork") and self._says_something(0):
            self._forks = self._line() == FORK
        return self._forks

    def copy(self, job: Job) -> int | None:
        """Let a copy do a job; its process id, None if it could not."""
        companion = f"{COMPANION} " if kind_of(job.kind).observed else ""
        if not self._tell(f"{FORK} {companion}{job.id}"):
            return None
        if not self._says_something(ANSWER_SECONDS):
            self.process.kill()  # a copy holds the pipe's other end: without one it is closed now
        answer = self._line()
        return int(answer) if answer.isdigit() else None

    def give(self, job: Job) -> int | None:
        """Let it do a job itself, and end; its process id, None if it is not there any more."""
        told = self._tell(job.id)
        self.end()
        return self.process.pid if told else None

    def end(self) -> None:
        """Let it end, now or after its job."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(OSError):  # it was killed
                pipe.close()

    def _tell(self, line: str) -> bool:
        assert self.process.stdin is not None
        with suppress(OSError):  # it was killed
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()
            return True
        return False

    def _says_something(self, seconds: float) -> bool:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()


_lock = threading.Lock()
_spare: Spare | None = None
_kept = False


def keep() -> None:
    """Have a spare from now on, as long as somebody calls this now and then."""
    global _kept
    if os.environ.get("SAMAR_SPARE", "1") == "0":
        return
    _kept = True
    with _lock:
        if _spare is not None and _spare.process.poll() is None:
            _spare.wanted = time.monotonic()
            return
    _renew()


def take(job: Job) -> int | None:
    """Give a job to the spare or a copy of it and return the process id; None without a spare."""
    global _spare
    with _lock:
        spare = _spare
        if spare is None:
            return None
        usable = spare.usable
        if usable and spare.forks:
            if copy := spare.copy(job):
                return copy
            usable = False
        _spare = None
    if _kept:
        threading.Thread(target=_renew_later, daemon=True).start()
    if usable:
        return spare.give(job)
    spare.end()
    return None


def _renew_later() -> None:
    time.sleep(RENEW_SECONDS)
    _renew()


def _renew() -> None:
    global _spare
    with _lock:
        if _spare is not None:
            if _spare.process.poll() is None:
                return
            _spare.end()
        try:
            _spare = spare = Spare()
        except OSError:  # no room for another process; a job will say so
            _spare = None
            return
    threading.Thread(target=_end_when_idle, args=(spare,), daemon=True).start()


def _end_when_idle(spare: Spare) -> None:
    global _spare
    while True:
        time.sleep(IDLE_SECONDS / 10)
        with _lock:
            if _spare is not spare:
                return
            if time.monotonic() - spare.wanted > IDLE_SECONDS:
                spare.end()
                _spare = None
                return


def _newest_code() -> float:
    """When a file of the package, or of a kind of one's own, was last changed."""
    newest = 0.0
    own = [
        getattr(sys.modules.get(k.settings.__module__), "__file__", "") for k in kinds().values()
    ]
    for file in (*PACKAGE.rglob("*.py"), *map(Path, filter(None, own))):
        with suppress(OSError):  # it went while this looked
            newest = max(newest, file.stat().st_mtime)
    return newest
