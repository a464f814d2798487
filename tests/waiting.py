"""Waiting for jobs that other processes do."""

import time
from collections.abc import Callable

from samar.jobs.job import Job
from samar.jobs.service import Jobs


def wait(jobs: Jobs, job_id: str, until: Callable[[Job], bool], seconds: float = 90) -> Job:
    """The job as soon as it is as it should be.

    Raises:
        AssertionError: it failed, or the time is over.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = jobs.get(job_id)
        if until(job):
            return job
        if job.status == "failed":
            break
        time.sleep(0.05)
    raise AssertionError(f"{job.kind} is {job.status}, {job.done} done: {job.message}")
