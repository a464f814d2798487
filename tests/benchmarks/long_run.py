"""How long a run of a million steps takes to open, and how much memory.

Run: ``python -m tests.benchmarks.long_run [STEPS]``

Each line is a process of its own: seconds after importing, how many of them it was busy, and how
far its peak of memory grew. With a row of the store for each step, all read at once; read in
pieces; and since the steps are kept in blocks of numbers:

=================  =====================  =====================  =====================
opening, history   3.9 s busy, 742 MB     1.7 s busy, 179 MB     0.44 s busy, 174 MB
``samar show``     3.6 s busy, 742 MB     0.3 s busy, 3 MB       0.10 s busy, 3 MB
``samar runs``     0.04 s busy, 3 MB      0.04 s busy, 2 MB      0.03 s busy, 2 MB
=================  =====================  =====================  =====================
"""

import os
import subprocess
import sys
import tempfile

MEASURE = """
import resource, sys, time
{before}
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
memory, started, busy = peak(), time.perf_counter(), time.process_time()
{work}
wall, busy = time.perf_counter() - started, time.process_time() - busy
more = peak() - memory
print(f"{{wall:.2f}} s ({{busy:.2f}} s of them busy), {{more:.0f}} MB more", file=sys.stderr)
"""
OPENING = (
    "from samar.jobs.store import Store; from samar.jobs.records import RunHistory",
    "steps, _ = RunHistory(Store().records, 1).refresh()\nassert len(steps['step']) == {steps}",
)
COMMAND = (
    "from samar.cli import main; from samar.jobs.kind import kinds; kinds()",
    "assert main({words!r}) == 0",
)


def fill(count: int) -> None:
    """Record a run of so many steps in the default store.

    In a process of its own, because the peak of memory of one that is started begins with that of
    the one that starts it.
    """
    from samar.jobs.store import Store
    from samar.jobs.training_records import StepRecord
    from samar.training.settings import TrainSettings

    store = Store()
    store.create(TrainSettings(name="long"))
    run = store.claim_next("long", limit=1)
    assert run is not None
    for first in range(1, count + 1, 50_000):
        steps = []
        for step in range(first, min(first + 50_000, count + 1)):
            wave = 1 + 0.5 * ((step * 7919) % 1000) / 1000
            own = (1 / wave, 1.1 / wave, 0.1 * wave, wave, wave, 2 * wave, 0.05, 2 * step)
            steps.append(StepRecord(step, step // 1000, *own, step / 50))
        store.records.append(run.key, steps)
    store.move(run, "finished")


def measure(what: str, before: str, work: str) -> None:
    """Run a piece of code in a fresh process and print what it took."""
    code = MEASURE.format(before=before, work=work)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    print(f"{what:24s} {ended.stderr.strip().splitlines()[-1]}")


def main(count: int) -> None:
    """Fill a store and measure."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAMAR_HOME"] = home
        os.environ.pop("SAMAR_STORE", None)
        called = f"from tests.benchmarks.long_run import fill; fill({count})"
        subprocess.run([sys.executable, "-c", called], check=True)
        measure("opening and history", OPENING[0], OPENING[1].format(steps=count))
        for words in (["show", "1"], ["runs"]):
            measure(f"samar {words[0]}", COMMAND[0], COMMAND[1].format(words=words))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
