"""How long a short job takes from being asked for to its end, by how its process comes about.

A fresh process imports everything; a copy of the spare has done so. The jobs follow each other
without a pause.

    python -m tests.benchmarks.starts [--jobs 5]
"""

import argparse
import os
import statistics
import tempfile
import time
from unittest.mock import patch

from samar.jobs.engine import spare
from samar.jobs.service import Jobs
from samar.training.settings import TrainSettings

SHORT = {"images_per_class": 13, "batch_size": 32, "epochs": 1, "device": "cpu"}


def seconds(jobs: Jobs, count: int) -> list[float]:
    """What each of so many jobs takes."""
    found = []
    for seed in range(count):
        began = time.perf_counter()
        job_id = jobs.submit(TrainSettings(**SHORT, seed=seed))
        while jobs.store.get(job_id).active:
            time.sleep(0.01)
        found.append(time.perf_counter() - began)
    return found


def main() -> None:
    """Print the medians and what the copies save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5)
    count = parser.parse_args().jobs
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        patch.dict(os.environ, {"SAMAR_HOME": home, "OMP_NUM_THREADS": "1"}),
    ):
        jobs = Jobs()
        fresh = statistics.median(seconds(jobs, count))
        spare.keep()
        assert spare._spare is not None
        spare._spare._says_something(60)
        copied = seconds(jobs, count)
        spare._spare.end()
    print(f"fresh process    {fresh:6.2f} s")
    print(f"copy of a spare  {statistics.median(copied):6.2f} s, longest {max(copied):.2f} s")
    print(f"ratio            {statistics.median(copied) / fresh:6.2f}")


if __name__ == "__main__":
    main()
