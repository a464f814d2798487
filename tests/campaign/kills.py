"""Runs whose worker is killed at random moments, again and again, and that are edited besides.

Each must end bit for bit as one that was never killed: every record once, the same weights.
"""

import contextlib
import os
import random
import signal
import tempfile
import time
from unittest import mock

from samar.jobs.edits import PlannedEdit
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.training.settings import TrainSettings
from tests.campaign.outcome import Outcome
from tests.sameness import difference
from tests.waiting import wait

KILLS = 50
EACH = 5
"""Kills of one run."""
SETTINGS = TrainSettings(
    images_per_class=40, batch_size=32, device="cpu", epochs=20, checkpoint_seconds=0.2
)
EDITS = [
    PlannedEdit(step=60, values={"rho": 0.4}),
    PlannedEdit(step=130, values={"optimizer": "sgd", "lr": 0.02}),
    PlannedEdit(step=200, values={"optimizer": "samar"}),
]


def campaign(short: bool) -> Outcome:
    """Kill workers; one in the short form."""
    outcome = Outcome("kills")
    chance = random.Random(0)
    lost = 0
    settings, edits = SETTINGS, EDITS
    if short:
        few = {"epochs": 12, "images_per_class": 12, "batch_size": 16}
        settings = settings.changed(**few)
        edits = EDITS[:1]
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        mock.patch.dict(os.environ, {"SAMAR_HOME": home, "SAMAR_SPARE": "0"}),
    ):
        jobs = Jobs()
        expected = wait(jobs, jobs.submit(settings, edits=edits), lambda job: not job.active)
        for number in range(1 if short else KILLS // EACH):
            named = settings.changed(name=f"killed {number}")
            run = jobs.get(jobs.submit(named, edits=edits))
            for _ in range(1 if short else EACH):
                run = wait(
                    jobs, run.id, lambda job: job.status == "running" and job.pid is not None
                )
                time.sleep(chance.uniform(0.0, 0.3 if short else 1.5))
                run = jobs.get(run.id)
                if run.status != "running":
                    break
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(run.pid or 0), signal.SIGKILL)
                outcome.tried += 1
                dead = wait(jobs, run.id, lambda job: not job.active, seconds=60)
                if dead.status == "finished":
                    break
                lost += max(0, run.done - dead.done)
                jobs.resume(run.id)
            run = wait(jobs, run.id, lambda job: not job.active, seconds=180)
            if fault := _differ(jobs, run, expected, edits):
                outcome.faults.append(f"run {number}: {fault}")
    outcome.figures["steps recorded and lost"] = str(lost)
    return outcome


def _differ(jobs: Jobs, run: Job, expected: Job, edits: list[PlannedEdit]) -> str:
    if run.status != "finished":
        return f"it is {run.status}: {run.message}"
    if fault := difference(jobs, run, expected):
        return fault
    if [(e.step, dict(e.values)) for e in jobs.edits(run)] != [(e.step, e.values) for e in edits]:
        return "its edits differ from those that it was given"
    return ""
