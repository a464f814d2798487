"""The cluster engine: jobs go to the machines of a Ray cluster.

One process, the dispatcher, gives every queued job to Ray as a task, as many at once as the cluster
has places. Ray runs it on a machine where a CPU and, if the cluster has any, a GPU is free, in a
process of its own, and once more where that machine is lost; the job then goes on from what it had
saved. Faces only put jobs into the store: with ``SAMAR_ENGINE=ray`` they start none themselves.

Reference:
    Moritz et al., "Ray: A Distributed Framework for Emerging AI Applications", OSDI 2018.
"""

import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from samar.device.catalog import CPU
from samar.errors import ConfigError, RunError
from samar.home import PACKAGE, home, jobs_folder
from samar.jobs.engine.local import ENGINE, RAY, VARIABLES, tend
from samar.jobs.job import HELD, Job, log_path
from samar.jobs.kind import LONG, SHORT, in_lane
from samar.jobs.store import MEMBER, RESTING, Store

POLL_SECONDS, ALIVE_SECONDS = 0.5, 3.0
OF_DEAD = ("queued", *HELD, "interrupted")
"""What a job may be that Ray gives to another machine; not one that ended."""
LOST_MACHINES = 3
"""So many times a job is given to another machine."""
GPU_OF_MEASUREMENT = 0.25
"""The share of a GPU that a measurement asks for; a training run asks for a whole one."""
PASSED_ON = ("SAMAR_STORE", "SAMAR_KINDS", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Machine:
    """One machine of the cluster.

    Attributes:
        name: its host's name, and its address.
        alive: whether it answers.
        cpus, gpus: what it has.
    """

    name: str
    alive: bool
    cpus: float
    gpus: float


def require_shared(store: Store) -> None:
    """Go on if every machine can reach the store.

    Raises:
        RunError: it is a file.
    """
    if store.database.engine.dialect.name == "sqlite":
        raise RunError(
            "A cluster needs a store that every machine reaches; set SAMAR_STORE to a PostgreSQL "
            "database."
        )


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray's module, connected to a cluster as its driver.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "A cluster needs the package ray; install it: pip install -r requirements-cluster.txt"
        ) from None
    try:
        ray.init(
            address=address, namespace="samar", log_to_driver=False, logging_level=logging.WARNING
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"There is no Ray cluster at {address} ({reason}); start one: ray start --head"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def machines(ray: Any) -> list[Machine]:
    """The machines of the cluster, those that were lost last."""
    found = [
        Machine(
            f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
            node["Alive"],
            node["Resources"].get("CPU", 0.0),
            node["Resources"].get("GPU", 0.0),
        )
        for node in ray.nodes()
    ]
    return sorted(found, key=lambda machine: (not machine.alive, machine.name))


def dispatch(
    store: Store,
    ray: Any,
    tell: Callable[[str], None],
    until: Callable[[], bool],
    page: str = "",
) -> None:
    """Give queued jobs to the cluster until told otherwise; while the store is away, wait for it.

    Args:
        tell: is told in a sentence what became of a job, and that the store is away.
        until: whether it is over.
        page: address of Ray's own page.
    """
    flying: dict[Any, Job] = {}
    task = ray.remote(max_calls=1, max_retries=LOST_MACHINES)(_work)
    alive, away = 0.0, False
    while not until():
        places = int(ray.cluster_resources().get("CPU", 0))
        if time.monotonic() - alive > ALIVE_SECONDS:
            with suppress(OSError):  # a full disk
                Dispatcher(places, sum(m.alive for m in machines(ray)), page).tell()
            alive = time.monotonic()
        try:
            tend(store, places)
            done = ray.wait([*flying], num_returns=len(flying), timeout=0)[0] if flying else []
            for each in done:
                tell(_ended(store, ray, each, flying.pop(each)))
            taken = [job.id for job in flying.values()]
            while len(taken) < places and (job := store.next_queued(taken)) is not None:
                taken.append(job.id)
                options = {"num_cpus": 1, "num_gpus": _gpus(ray, job)}
                variables = {"env_vars": _variables(places)}
                flying[task.options(**options, runtime_env=variables).remote(job.id)] = job
                tell(f"{job.label} waits for a place.")
            away = False
        except OperationalError as error:
            if not away:
                tell(str(error))
            away = True
        time.sleep(POLL_SECONDS)


def _gpus(ray: Any, job: Job) -> float:
    if not ray.cluster_resources().get("GPU") or getattr(job.settings, "device", "") == CPU:
        return 0
    return 1 if in_lane(job.kind, LONG) else GPU_OF_MEASUREMENT


def _variables(places: int) -> dict[str, str]:
    """What a job's process has to know, wherever it runs."""
    known = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return known | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "SAMAR_HOME": str(home()),
        "SAMAR_ARTIFACTS": str(jobs_folder()),
        "OMP_WAIT_POLICY": "PASSIVE",
        ENGINE: RAY,
        **{name: str(places) for name in VARIABLES.values()},
    }


def _ended(store: Store, ray: Any, task: Any, job: Job) -> str:
    """What became of a task; a job whose machines were all lost says so."""
    try:
        where = ray.get(task)
    except (ray.exceptions.RayError, RunError) as error:
        reason = str(error).strip().splitlines()[0]
        with suppress(RunError):
            store.move(store.get(job.id), "interrupted", f"Its machine was lost: {reason}")
        return f"{job.label} was lost: {reason}"
    return f"{job.label} ended on {where}." if where else f"{job.label} was taken by another."


def _work(job_id: str) -> str:
    """A task: do a job in this process; again, where the machine that had it is lost.

    Returns:
        The host; empty if the job was not to be done.
    """
    from samar.jobs.engine.worker import do

    store = Store()
    # The dispatcher gave a queued one; if it is none, Ray knows that this is another attempt.
    job = store.claim(job_id, OF_DEAD)
    if job is None:
        return ""
    path = log_path(job_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    do(store, job)
    return socket.gethostname()


SILENT_SECONDS = 15.0
"""A dispatcher that said nothing for longer is gone."""
NONE_THERE = (
    "No dispatcher gives jobs to the cluster; start one: python -m samar cluster --ray ADDRESS"
)


@dataclass(frozen=True)
class Dispatcher:
    """A dispatcher at work.

    Attributes:
        places: jobs that the cluster does at once.
        machines: how many answer.
        page: address of Ray's own page; empty where it has none.
    """

    places: int
    machines: int
    page: str = ""

    def tell(self) -> None:
        """Write it, as a sign of life."""
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_text(json.dumps(asdict(self)))
        part.replace(path)

    def words(self, jobs: Sequence[Job]) -> str:
        """How busy the cluster is, in one line."""
        busy, wait = map(len, placed(jobs))
        machines = f"{self.machines} machine{'s' * (self.machines != 1)}"
        return f"Cluster: {busy} of {self.places} places busy on {machines}, {wait} waiting."


def placed(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    """Those of all jobs that have a place, and those that wait for one.

    A sweep and a script take none, and a job whose sweep rests waits for no place.
    """
    resting = {job.id for job in jobs if in_lane(job.kind, None) and job.status in RESTING}
    own = [
        job
        for job in jobs
        if any(in_lane(job.kind, lane) for lane in (LONG, SHORT)) and MEMBER not in job.inputs
    ]
    waiting = [job for job in own if job.status == "queued" and job.parent not in resting]
    return [job for job in own if job.status in HELD], waiting


def dispatcher() -> Dispatcher | None:
    """The dispatcher that gave a sign of life of late."""
    try:
        path = _path()
        if time.time() - path.stat().st_mtime > SILENT_SECONDS:
            return None
        return Dispatcher(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _path() -> Path:
    return jobs_folder() / "dispatcher.json"
