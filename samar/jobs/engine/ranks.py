"""Further processes for a run that trains in several, on this machine."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from samar.jobs.engine.spare import start_process

ENDING_SECONDS = 5.0
"""Time that they have to end after they were told to."""


@contextmanager
def other_ranks(count: int, device: str, log: Path) -> Iterator[Mapping[str, str]]:
    """Start all processes but the first, for the time of a block.

    Args:
        count: of all processes.
        device: as in the run's settings.
        log: where they print.

    Yields:
        Where they meet, for :func:`samar.device.ranks.join` in the first.
    """
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // count))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    meeting |= {"SAMAR_RANKS_ON": device, "OMP_NUM_THREADS": threads}
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    others = [
        start_process(["-m", "samar.training.ranks"], log, variables={**meeting, "RANK": str(rank)})
        for rank in range(1, count)
    ]
    try:
        yield {**meeting, "RANK": "0"}
    finally:
        for other in others:
            with suppress(subprocess.TimeoutExpired):
                other.wait(ENDING_SECONDS)
            other.kill()
