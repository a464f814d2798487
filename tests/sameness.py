"""Whether two runs are the same, bit for bit."""

import numpy as np
import torch

from samar.jobs.job import Job, weights_path
from samar.jobs.service import Jobs
from samar.networks.checkpoint import load_weights


def difference(jobs: Jobs, run: Job, expected: Job) -> str:
    """In what two runs differ, times aside: their records or their weights; empty if in nothing."""
    for read in (jobs.store.records.steps, jobs.store.records.epochs):
        ours, theirs = read(run.key), read(expected.key)
        for name in theirs:
            if name != "seconds" and not np.array_equal(ours[name], theirs[name], equal_nan=True):
                return f"{name} differs"
    ours, theirs = (load_weights(weights_path(job.id)) for job in (run, expected))
    if not all(torch.equal(ours[name], theirs[name]) for name in theirs):
        return "the weights differ"
    return ""
