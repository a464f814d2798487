"""The local engine: one process a job, in its own session, so that no browser event stops it.

Two lanes: a measurement never waits for a training run or a sweep. A spare process, which has
imported what a job needs and waits, takes the next job where there is one (see ``spare``).
"""

import os
import re
import time
from contextlib import suppress

import psutil

from samar.errors import ConfigError
from samar.jobs.engine.spare import start_process, take
from samar.jobs.job import HELD, Job, log_path, told_over
from samar.jobs.kind import LONG, SHORT, in_lane, kinds
from samar.jobs.records import STOP
from samar.jobs.store import Store, alive, born

ENGINE = "SAMAR_ENGINE"
LOCAL, RAY = "local", "ray"
VARIABLES = {LONG: "SAMAR_MAX_RUNS", SHORT: "SAMAR_MAX_MEASUREMENTS"}
LAST_SECONDS = 60.0
"""How long a job of a class may go on after its time, to save what it trained."""
PATIENCE_SECONDS = 5.0
"""A measurement that has not stopped so long after it was told to is killed."""


def slots(lane: str) -> int:
    """How many jobs of a lane run at once: 1, unless the lane's variable says otherwise.

    Raises:
        ConfigError: the variable is no whole number from 1 to 9999.
    """
    name = VARIABLES[lane]
    text = os.environ.get(name, "1")
    if not re.fullmatch(r"0*[1-9][0-9]{0,3}", text):
        raise ConfigError(
            f"{name} is {text[:60]!r}, but it must be a whole number from 1 to 9999; set another."
        )
    return int(text)


def schedule(store: Store) -> None:
    """Tend the jobs, and start queued ones while there is room, unless a cluster does.

    Any process may call this, and often: a page, the command line, a worker that ends.
    """
    limits = {lane: slots(lane) for lane in VARIABLES}
    tend(store, limits[LONG])
    if engine() == RAY:
        return
    for lane, limit in limits.items():
        while (job := store.claim_next(lane, limit)) is not None:
            _start(store, job)


def engine() -> str:
    """Who starts jobs: this machine, or the dispatcher of a cluster.

    Raises:
        ConfigError: ``SAMAR_ENGINE`` names another.
    """
    name = os.environ.get(ENGINE) or LOCAL
    if name not in (LOCAL, RAY):
        raise ConfigError(f"{ENGINE} is {name[:60]!r}, but it must be {LOCAL} or {RAY}.")
    return name


def tend(store: Store, limit: int) -> None:
    """Note dead workers, end what is overdue, and advance coordinators.

    Args:
        limit: how many training runs there is room for at once.
    """
    store.mark_interrupted()
    _end_overdue(store)
    _end_stubborn(store)
    for kind in kinds().values():
        if kind.advance is not None:
            kind.advance(store, limit)


def _start(store: Store, job: Job) -> None:
    try:
        # Known before it has loaded anything, which may take a busy machine long.
        pid = spawn(job)
        with suppress(psutil.NoSuchProcess):
            store.beat(job, pid=pid, process=born(pid))
    except OSError as error:
        store.move(job, "failed", f"The worker could not be started: {error}.")


def _end_stubborn(store: Store) -> None:
    """Kill measurements that do not obey a stop; a training run never."""
    for job in store.all(status=("running",)):
        if not in_lane(job.kind, SHORT) or not alive(job.pid, job.process):
            continue
        if (asked := asked_to_stop(store, job)) is not None:
            told = "It did not stop by itself and was ended."
            _end_deaf(store, job, asked + PATIENCE_SECONDS, told)


def _end_overdue(store: Store) -> None:
    """Stop the jobs of a class that have had their time; one that does not obey is killed."""
    now = time.time()
    for job in store.all(status=HELD):
        if not (over := told_over(job.inputs, job.started, now)):
            continue
        if in_lane(job.kind, None):
            store.move(job, "stopped", over)
            for member in store.all(parent=job.id, status=HELD):
                store.orders.post(member.key, STOP)
            continue
        if (asked := asked_to_stop(store, job)) is None:
            store.orders.post(job.key, STOP)
        elif alive(job.pid, job.process):
            _end_deaf(store, job, asked + LAST_SECONDS, over)


def asked_to_stop(store: Store, job: Job) -> float | None:
    """When a job was first told to stop; None if it was not."""
    return next((o.at for o in store.orders.after(0, job.key) if o.command == STOP), None)


def _end_deaf(store: Store, job: Job, until: float, message: str) -> None:
    """Kill a job, but not this very process, that goes on after a moment."""
    if time.time() > until and job.pid != os.getpid():
        with suppress(psutil.NoSuchProcess):
            psutil.Process(job.pid).kill()
        store.move(job, "stopped", message)


def spawn(job: Job) -> int:
    """Hand a job to the spare process, or to a new one, and return its process id."""
    log_path(job.id).parent.mkdir(parents=True, exist_ok=True)
    return (
        take(job) or start_process(["-m", "samar.jobs.engine.worker", job.id], log_path(job.id)).pid
    )
