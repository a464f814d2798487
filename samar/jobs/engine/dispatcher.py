"""What the dispatcher of a cluster says of itself, in a file beside the jobs.

Faces read it, to tell how many places are busy, and that jobs wait in vain where no dispatcher is.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from samar.home import jobs_folder
from samar.jobs.job import HELD, Job
from samar.jobs.kind import LONG, SHORT, in_lane
from samar.jobs.store import MEMBER, RESTING

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
