"""``train`` and ``resume`` under torchrun: this process is one of several that train together.

The first does the job itself, as a worker would; the others follow it.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from samar.jobs.service import Jobs


def follow_first(device: str) -> int:
    """Do as the first process tells until it ends, also when a person ends them all.

    Args:
        device: as in the run's settings.
    """
    from samar.training.ranks import follow

    _on(device)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    follow()
    return 0


@contextmanager
def done_here(jobs: Jobs, job_id: str) -> Iterator[None]:
    """Do a job that this process has claimed while a block watches it."""
    from samar.jobs.engine.worker import do

    job = jobs.store.get(job_id)
    _on(job.settings.device)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: stop after the step
    work = threading.Thread(target=do, args=(jobs.store, job))
    work.start()
    try:
        yield
    finally:
        work.join()


def _on(device: str) -> None:
    os.environ["SAMAR_RANKS_ON"] = device
