"""Workers of tests are forked from a process that has rehearsed what they need, as the spare has.

A worker that a test starts is then at work at once, instead of after three seconds of imports; so
are those that such a worker starts, observers and the further processes of a run that trains in
several among them, and those of a server of tests that is started as
``python -m tests.forked streamlit run``. What the command line starts is started as users' is.
"""

import atexit
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import psutil

from samar.jobs.engine import companion, local, ranks
from samar.jobs.engine.spare import start_process

ROOT = Path(__file__).parents[1]
ADDRESS = "SAMAR_TESTS_FORKS"
"""Names the socket of the process that forks."""
FORKS = hasattr(os, "fork") and sys.platform != "darwin"
WORKER = ["-m", "samar.jobs.engine.worker"]
RANK = ["-m", "samar.training.ranks"]
COMPANION = ["-m", "samar.jobs.engine.companion"]


class Forked:
    """What callers use of a process; that it was forked, it is no child of theirs.

    Attributes:
        pid: its number.
        stdin, stdout: of a companion, the ends of its pipes that are held here.
    """

    stdin: BinaryIO
    stdout: BinaryIO

    def __init__(self, pid: int) -> None:
        self.pid = pid
        with suppress(psutil.NoSuchProcess):
            self._process = psutil.Process(pid)

    def poll(self) -> int | None:
        """None as long as it lives."""
        return None if hasattr(self, "_process") and self._process.is_running() else 0

    def wait(self, timeout: float = 60) -> None:
        """Until it has ended."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a forked process", timeout)
            time.sleep(0.02)

    def kill(self) -> None:
        """End it, if it lives."""
        if self.poll() is None:
            self._process.kill()


def fork_workers() -> None:
    """Do so for the rest of this process, where the platform forks."""
    if FORKS:
        local.start_process = _start  # type: ignore[assignment]
        companion.start_process = _start_companion  # type: ignore[assignment]


def _start_companion(arguments: list[str], log: Path | None, *_: Any, **rest: Any) -> Any:
    """A companion, with pipes to its standard input and from its standard output."""
    (read, stdin), (stdout, written) = os.pipe(), os.pipe()
    words = {"arguments": arguments, "log": str(log or os.devnull), "variables": dict(os.environ)}
    (pid,) = _ask(words | {"folder": str(Path.cwd()), "path": sys.path}, [read, written])
    os.close(read)
    os.close(written)
    started = Forked(pid)
    started.stdin, started.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
    return started


def _start(
    arguments: list[str],
    log: Path | None,
    *,
    variables: Mapping[str, str] | None = None,
    **rest: Any,
) -> Any:
    if arguments[:2] not in (WORKER, RANK) or log is None or rest:
        return start_process(arguments, log, variables=variables, **rest)
    told = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, **(variables or {})}
    words = {"arguments": arguments, "log": str(log), "variables": told}
    return Forked(*_ask(words | {"folder": str(Path.cwd()), "path": sys.path}))


@cache
def forking() -> str:
    """The address of the process that forks for this one and its children; it is started."""
    if ADDRESS in os.environ:
        return os.environ[ADDRESS]
    folder = tempfile.mkdtemp(prefix="samar-forks-")
    os.environ[ADDRESS] = address = f"{folder}/socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        # Whoever asks waits until it has rehearsed; it ends when its standard input does.
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.forked", str(listener.fileno())],
            stdin=subprocess.PIPE,
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )

    def end() -> None:
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return address


def workers_of(home: Path) -> list[psutil.Process]:
    """The processes that were forked for a home and live."""
    workers = []
    for pid in _ask({"of": str(home)}):
        with suppress(psutil.NoSuchProcess):  # it has just ended
            workers.append(psutil.Process(pid))
    return workers


def end_workers(home: Path) -> None:
    """Kill the processes that were forked for a home."""
    if ADDRESS in os.environ:
        for process in workers_of(home):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _ask(words: Mapping[str, Any], pipes: Sequence[int] = ()) -> list[int]:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(forking())
        content = json.dumps(words).encode() + b"\n"
        if pipes:
            sent = socket.send_fds(asking, [content], pipes)
            content = content[sent:]
        asking.sendall(content)
        return list(json.loads(asking.makefile().read()))


def _serve(listener: socket.socket) -> None:
    """Fork whenever somebody asks, until the tests have ended."""
    import samar.training.observer
    import samar.training.ranks  # noqa: F401
    from samar.jobs.engine.worker import rehearse

    rehearse()
    forking()  # known to all that are forked
    fork_workers()  # for what a worker starts
    ranks.start_process = _start  # type: ignore[assignment]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended workers leave no zombies
    homes: dict[int, str] = {}
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        asked, _ = listener.accept()
        with asked:
            content, pipes, *_ = socket.recv_fds(asked, 1 << 20, 2)
            while not content.endswith(b"\n"):
                content += asked.recv(1 << 20)
            words = json.loads(content)
            if home := words.get("of"):
                children = {child.pid for child in psutil.Process().children()}
                homes = {pid: of for pid, of in homes.items() if pid in children}
                answer = [pid for pid, of in homes.items() if of == home]
            else:
                answer = [os.fork()]
                if answer == [0]:
                    listener.close()
                    asked.close()
                    _work(pipes, **words)
                for pipe in pipes:
                    os.close(pipe)
                homes[answer[0]] = words["variables"].get("SAMAR_HOME", "")
            asked.sendall(json.dumps(answer).encode())


def _work(
    pipes: Sequence[int],
    arguments: list[str],
    log: str,
    variables: Mapping[str, str],
    folder: str,
    path: list[str],
) -> NoReturn:
    from samar.jobs.engine import worker
    from samar.jobs.kind import kinds
    from samar.training.ranks import follow

    ended = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.chdir(folder)
        with Path(os.devnull).open("rb") as nothing, Path(log).open("ab") as output:
            ends = pipes or (nothing.fileno(), output.fileno())
            for source, number in (*zip(ends, (0, 1), strict=True), (output.fileno(), 2)):
                os.dup2(source, number)
        os.environ.clear()
        os.environ.update(variables)
        sys.path[:] = path
        kinds.cache_clear()  # those that SAMAR_KINDS names
        for pipe in pipes:
            os.close(pipe)
        if arguments[:2] == RANK:
            follow()
        elif pipes:
            companion.main()
        else:
            worker.main(arguments[2])
        ended = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended)


if __name__ == "__main__":
    _, first, *rest = sys.argv
    if first.isdigit():
        _serve(socket.socket(fileno=int(first)))
    else:
        fork_workers()
        sys.argv = [first, *rest]
        runpy.run_module(first, run_name="__main__", alter_sys=True)
