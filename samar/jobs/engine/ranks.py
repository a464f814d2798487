"""Further processes for a run that trains in several, on this machine."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from samar.jobs.engine.process import start_process

ENDING_SECONDS = 5.0
"""So long they have to end after they were told to."""


NOTICED_SECONDS = 10.0
"""So long the first process has to notice by itself that another is gone; then it is stuck."""


@contextmanager
def other_ranks(
    count: int, device: str, log: Path, stuck: Callable[[], None]
) -> Iterator[Mapping[str, str]]:
    """All processes but the first, for the time of a block.

    Args:
        count: of all processes.
        device: as in the run's settings.
        log: where they print.
        stuck: called, in another thread, if one is gone and the block goes on.

    Yields:
        Where they meet, for :func:`samar.device.ranks.join` in the first.
    """
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // count))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    place |= {"SAMAR_RANKS_ON": device, "OMP_NUM_THREADS": threads}
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    others = [
        start_process(["-m", "samar.training.ranks"], log, variables={**place, "RANK": str(rank)})
        for rank in range(1, count)
    ]
    over = threading.Event()
    threading.Thread(target=_watch, args=(others, over, stuck), daemon=True).start()
    try:
        yield {**place, "RANK": "0"}
    finally:
        over.set()
        for other in others:
            with suppress(subprocess.TimeoutExpired):
                other.wait(ENDING_SECONDS)
            other.kill()


def _watch(
    others: "Sequence[subprocess.Popen[bytes]]", over: threading.Event, stuck: Callable[[], None]
) -> None:
    while not over.wait(1.0):
        if any(other.poll() is not None for other in others):
            if not over.wait(NOTICED_SECONDS):
                stuck()
            return
