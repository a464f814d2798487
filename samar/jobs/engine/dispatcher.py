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
from samar.jobs.store import MEMBER

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
        own = [job for job in jobs if MEMBER not in job.inputs]
        busy = sum(job.status in HELD for job in own)
        wait = sum(job.status == "queued" for job in own)
        machines = f"{self.machines} machine{'s' * (self.machines != 1)}"
        return f"Cluster: {busy} of {self.places} places busy on {machines}, {wait} waiting."


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
