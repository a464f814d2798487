"""A process that works beside a job's own, talks with it through a pipe, and ends with it.

It is a copy of the spare process, made before the job begins, or else a fresh Python process. It is
never a copy of the job's own process, which has threads and perhaps a GPU; and it does not run a
script of somebody's again, as Python's ``spawn`` would.

A message is any value that can be pickled. The first one names the function that serves.
"""

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from samar.jobs.engine.spare import start_process

Send = Callable[[Any], None]

_ahead: tuple[BinaryIO, BinaryIO, int] | None = None
"""Both ends and the process id of a companion that was forked before the job began."""


def fork_ahead() -> None:
    """Copy this process, which has no threads and has done nothing yet, as a companion-to-be."""
    global _ahead
    theirs, ours = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(theirs[1])
        os.close(ours[0])
        _serve(os.fdopen(theirs[0], "rb"), os.fdopen(ours[1], "wb"))
    os.close(theirs[0])
    os.close(ours[1])
    _ahead = os.fdopen(theirs[1], "wb"), os.fdopen(ours[0], "rb"), pid


class Companion:
    """The end of the pipe that the job's process holds. Nothing here waits for the companion.

    Args:
        serve: the companion's function, as ``module:name``. It is called with a queue of messages
            and a function that sends one, and serves until the process ends.
        receive: called with each message of the companion, in a thread.
        ended: called in that thread when the companion has ended without :meth:`end`.
        log: the file that it prints into; nowhere if None.

    Attributes:
        pid: number of the companion's process.
        alive: whether its end of the pipe is open.
    """

    def __init__(
        self,
        serve: str,
        receive: Callable[[Any], None],
        ended: Callable[[], None],
        log: Path | None = None,
    ) -> None:
        global _ahead
        if _ahead is not None:
            (self._pipe, incoming, self.pid), _ahead = _ahead, None
        else:
            pipe = subprocess.PIPE
            process = start_process(["-m", __name__], log, pipe, stdout=pipe, detached=False)
            assert process.stdin is not None
            assert process.stdout is not None
            self._pipe, incoming, self.pid = process.stdin, process.stdout, process.pid  # type: ignore[assignment]
        self.alive = True
        self._over = False
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._receive, self._ended = receive, ended
        self.send((serve, sys.path))
        for work in (self._deliver, lambda: self._listen(incoming)):
            threading.Thread(target=work, daemon=True).start()

    def send(self, message: Any) -> None:
        """Send a message, or the value that a function without arguments returns, in its turn."""
        self._outbox.put(message)

    def end(self) -> None:
        """Let the companion end after the messages that were sent."""
        self._over = True
        self._outbox.put(None)

    def _deliver(self) -> None:
        with suppress(OSError, ValueError):  # it has ended
            while (message := self._outbox.get()) is not None:
                value = message() if callable(message) else message
                pickle.dump(value, self._pipe, protocol=pickle.HIGHEST_PROTOCOL)
                self._pipe.flush()
        with suppress(OSError):
            self._pipe.close()

    def _listen(self, incoming: BinaryIO) -> None:
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                self._receive(pickle.load(incoming))
        self.alive = False
        incoming.close()
        self._outbox.put(None)
        with suppress(OSError):  # a forked one leaves no zombie
            os.waitpid(self.pid, 0)
        if not self._over:
            self._ended()


def _serve(incoming: BinaryIO, outgoing: BinaryIO) -> NoReturn:
    """Be a companion until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the job
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sending = threading.Lock()

    def listen() -> None:
        with suppress(Exception):  # the other end is gone
            while True:
                inbox.put(pickle.load(incoming))
        os._exit(0)

    def send(message: Any) -> None:
        with sending:
            pickle.dump(message, outgoing, protocol=pickle.HIGHEST_PROTOCOL)
            outgoing.flush()

    threading.Thread(target=listen, daemon=True).start()
    serve, path = inbox.get()
    sys.path[:] = path
    module, _, name = serve.partition(":")
    try:
        getattr(import_module(module), name)(inbox, send)
    finally:
        os._exit(1)


def main() -> NoReturn:
    """Serve over standard input and output; what is printed goes where errors go."""
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer, outgoing)


if __name__ == "__main__":
    main()
