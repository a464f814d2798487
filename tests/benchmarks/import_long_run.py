"""A run of a million steps goes out as a zip and comes back: seconds and memory.

    python -m tests.benchmarks.import_long_run [STEPS]

Each way has a process of its own, so that its memory is its own.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STEPS = 1_000_000
PER_EPOCH = 1000


def fill(steps: int) -> str:
    """Put a run with made-up records into the store; returns its id."""
    from samar.jobs.store import Store
    from samar.jobs.training_records import EpochRecord, StepRecord
    from samar.training.settings import TrainSettings

    store = Store()
    store.create(TrainSettings(optimizer="samar"))
    run = store.claim_next("long", limit=9)
    assert run is not None
    generator = np.random.default_rng(0)
    for first in range(0, steps, PER_EPOCH):
        values = generator.random((PER_EPOCH, 8))
        at = range(first + 1, first + PER_EPOCH + 1)
        rows = [
            StepRecord(k, first // PER_EPOCH + 1, *v[:7].tolist(), 2 * k, 0.1 * k)
            for k, v in zip(at, values, strict=True)
        ]
        epoch = first // PER_EPOCH + 1
        last = first + PER_EPOCH
        figures = (*values[0, :2].tolist(), 100, *values[0, 2:5].tolist())
        ended = EpochRecord(epoch, last, 2 * last, 0.1 * last, *figures)
        store.records.append(run.key, rows, [ended])
    store.move(run, "finished")
    return run.id


def export(run_id: str, target: Path) -> None:
    """Write the zip."""
    from samar.exchange.archive import write_job
    from samar.jobs.store import Store

    store = Store()
    began, before = time.perf_counter(), megabytes()
    write_job(store, store.get(run_id), target)
    tell("export", began, before, f", {target.stat().st_size / 1e6:.0f} MB of zip")


def bring(target: Path) -> None:
    """Import the zip."""
    from samar.exchange.importing import import_job
    from samar.jobs.store import Store

    store = Store()
    began, before = time.perf_counter(), megabytes()
    run = store.get(import_job(target, store))
    tell("import", began, before, f", {run.done:,} steps")


def compare(run_id: str, homes: tuple[str, str]) -> None:
    """Every number of both runs, bit for bit."""
    from samar.jobs.store import Store

    found = []
    for home in homes:
        os.environ["SAMAR_HOME"] = home
        store = Store()
        found.append(store.records.steps(store.get(run_id).key))
    assert all(c.tobytes() == found[1][name].tobytes() for name, c in found[0].items())
    print("the same float64, bit for bit")


def megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tell(what: str, began: float, before: float, more: str) -> None:
    """Print one line of the result."""
    spent = f"{time.perf_counter() - began:.1f} s ({time.process_time():.1f} s of the processor)"
    peak = megabytes()
    print(f"{what}: {spent}, peak {peak:.0f} MB, {peak - before:.0f} MB more than before{more}")


def main() -> None:
    """Run each way in its process."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else STEPS
    with tempfile.TemporaryDirectory() as folder:
        here, there = Path(folder) / "here", Path(folder) / "there"
        target = Path(folder) / "run.zip"

        def apart(home: Path, call: str) -> str:
            names = "from pathlib import Path; from tests.benchmarks import import_long_run as b"
            code = f"{names}; {call}"
            environment = os.environ | {"SAMAR_HOME": str(home)}
            words = [sys.executable, "-c", code]
            done = subprocess.run(words, env=environment, check=True, stdout=subprocess.PIPE)
            return done.stdout.decode().strip()

        run_id = apart(here, f"print(b.fill({steps}))")
        print(apart(here, f"b.export({run_id!r}, Path({str(target)!r}))"))
        print(apart(there, f"b.bring(Path({str(target)!r}))"))
        print(apart(here, f"b.compare({run_id!r}, ({str(here)!r}, {str(there)!r}))"))


if __name__ == "__main__":
    main()
