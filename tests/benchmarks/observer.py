"""What observing a training costs, and how fresh what it shows is.

Each part trains without the observer and with it, in processes of samar's own, and prints ratios::

    python -m tests.benchmarks.observer race     # digits, SGD and SAMAR, 60 epochs
    python -m tests.benchmarks.observer resnet   # ResNet-20 on photographs (needs ../shared/data)
    python -m tests.benchmarks.observer orders   # from an order to the step that obeys it
    python -m tests.benchmarks.observer watch    # a loop of somebody's own, a small transformer
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from samar.jobs.job import Job
from samar.jobs.records import CHANGE, CURVATURE, PLANE
from samar.jobs.service import Jobs
from samar.kinds.race import RaceSettings
from samar.training.settings import TrainSettings

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "cifar10"


def ended(jobs: Jobs, job_id: str) -> Job:
    """Wait until a job is over."""
    while (job := jobs.get(job_id)).active:
        time.sleep(0.1)
    assert job.status == "finished", job.message
    return job


def race(rounds: int) -> None:
    """Digits, 60 epochs: at every pace the seconds, and what was measured of each member."""
    jobs, settings = Jobs(), RaceSettings(optimizers="sgd,samar", epochs=60, device="cpu")
    took: dict[str, list[float]] = {"off": [], "fast": [], "epoch": []}
    for _ in range(rounds):
        for pace, seconds in took.items():
            job = ended(jobs, jobs.submit(settings, pace=pace))
            assert job.finished
            assert job.started
            seconds.append(job.finished - job.started)
            for member in jobs.members(job.id):
                print(pace, member.settings.optimizer, member.summary.get("observed", ""))
    middle = {pace: statistics.median(seconds) for pace, seconds in took.items()}
    for pace, seconds in middle.items():
        print(f"{pace:6} {seconds:6.1f} s, {seconds / middle['off']:.2f} of off")


def resnet(seconds: float, rounds: int) -> None:
    """ResNet-20: the ages of plane and eigenvalue, then its speed with and without an observer.

    The speeds are those of one run whose pace is changed to and fro, since a machine drifts.
    """
    jobs = Jobs()
    settings = TrainSettings(
        model="resnet20", dataset=f"folder:{PHOTOGRAPHS}", optimizer="samar", epochs=50
    )
    job_id = jobs.submit(settings, pace="fast")
    while not (job := jobs.get(job_id)).done:
        assert job.active, job.message
        time.sleep(0.05)
    began = time.time()
    time.sleep(seconds)
    events = jobs.store.records.events(job.key)
    for kind in (PLANE, CURVATURE):
        at = [event.at for event in events if event.kind == kind]
        if not at:
            print(f"{kind}: none")
            continue
        waits = [after - before for before, after in pairwise([*at, time.time()])]
        print(
            f"{kind}: {len(at)}, the first {at[0] - began:.1f} s after the first step, then one "
            f"every {statistics.median(waits):.1f} s, {max(waits):.1f} s at most"
        )
    ratios = []
    for _ in range(rounds):
        jobs.set_pace(job_id, "off")
        time.sleep(REST)  # what is begun is measured to its end
        alone = _speed(jobs, job_id)
        jobs.set_pace(job_id, "fast")
        time.sleep(1)
        beside = _speed(jobs, job_id)
        ratios.append(beside / alone)
        print(f"off {alone:.2f} steps/s, fast {beside:.2f}: {ratios[-1]:.2f} of its speed")
    print(f"median {statistics.median(ratios):.2f}")
    jobs.stop(job_id)
    while jobs.get(job_id).active:
        time.sleep(0.1)


REST, BLOCK = 8.0, 16.0
"""Seconds."""


def _speed(jobs: Jobs, job_id: str) -> float:
    """Steps a second, of whole steps."""
    began, first = _next_step(jobs, job_id)
    time.sleep(BLOCK)
    ended, last = _next_step(jobs, job_id)
    return (last - first) / (ended - began)


def _next_step(jobs: Jobs, job_id: str) -> tuple[float, int]:
    """When a run takes its next step, and which."""
    before = jobs.get(job_id).done
    while (done := jobs.get(job_id).done) == before:
        time.sleep(0.01)
    return time.time(), done


def orders(rounds: int) -> None:
    """From a change that is asked for to the event of it, at random times."""
    jobs = Jobs()
    digits = TrainSettings(epochs=10_000, device="cpu")
    photographs = TrainSettings(
        model="resnet20", dataset=f"folder:{PHOTOGRAPHS}", optimizer="samar", epochs=50
    )
    for settings in (digits, photographs):
        job_id = jobs.submit(settings, pace="fast")
        while not (job := jobs.get(job_id)).done:
            assert job.active, job.message
            time.sleep(0.05)
        waits = []
        for number in range(rounds):
            time.sleep(0.5 + number % 7 / 9)
            asked = time.time()
            jobs.change(job_id, rho=0.05 + number / 1000)
            while len(changes := changes_of(jobs, job)) <= number:
                time.sleep(0.02)
            waits.append(changes[-1].at - asked)
        job = jobs.get(job_id)
        steps = jobs.store.records.steps(job.key)["seconds"]
        step = float(steps[-1] - steps[0]) / max(len(steps) - 1, 1)
        print(
            f"{settings.model}: {1e3 * statistics.median(waits):.0f} ms in the median, "
            f"{1e3 * max(waits):.0f} ms at most; a step takes {1e3 * step:.0f} ms"
        )
        jobs.stop(job_id)
        while jobs.get(job_id).active:
            time.sleep(0.1)


def changes_of(jobs: Jobs, job: Job) -> list[Any]:
    """The edits of a run so far."""
    return [e for e in jobs.store.records.events(job.key) if e.kind == CHANGE]


LOOP = """
import sys, time
began = time.perf_counter()
import torch
sys.path[:0] = [{examples!r}]
from gpt import GPT, CONTEXT, BATCH
import torch.nn.functional as F
ready = time.perf_counter()
if {watched}:
    import samar
text = torch.tensor(list(open({text!r}, "rb").read()))
torch.manual_seed(1)
network = GPT(256)
optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
def batch(size=BATCH):
    starts = torch.randint(len(text) - CONTEXT - 1, (size,))
    rows = torch.stack([text[s : s + CONTEXT + 1] for s in starts])
    return rows[:, :-1], rows[:, 1:]
def loss_of(scores, target):
    return F.cross_entropy(scores.flatten(0, 1), target.flatten())
def loop(run):
    for _ in range({steps}):
        x, y = batch()
        loss = loss_of(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if run is not None:
            run.step(loss)
sample = batch(16)
batch_began = time.perf_counter()
if {watched}:
    with samar.watch(network, optimizer, loss=loss_of, sample=sample, quiet=True) as run:
        print("starting", time.perf_counter() - batch_began + ready * 0)
        loop_began = time.perf_counter()
        loop(run)
        print("loop", time.perf_counter() - loop_began)
    print("id", run.id)
else:
    loop_began = time.perf_counter()
    loop(None)
    print("loop", time.perf_counter() - loop_began)
"""


def watch(seconds: float, rounds: int) -> None:
    """A character-level transformer alone and watched, in turns."""

    def run(watched: bool, steps: int) -> dict[str, str]:
        script = LOOP.format(
            examples=str(ROOT / "examples"),
            text=str(ROOT / "examples" / "gpt.py"),
            watched=watched,
            steps=steps,
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert not done.returncode, done.stderr
        return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())

    steps = int(200 * seconds / float(run(False, 200)["loop"]))
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(float(run(False, steps)["loop"]))
        told = run(True, steps)
        beside.append(float(told["loop"]))
        print(f"started to watch in {float(told['starting']):.2f} s", _watched(told["id"]))
    print(
        f"alone {statistics.median(alone):.1f} s, watched {statistics.median(beside):.1f} s: "
        f"{statistics.median(beside) / statistics.median(alone):.3f}"
    )


def _watched(job_id: str) -> str:
    job = Jobs().get(job_id)
    return f"{job.summary.get('observed')} {job.summary.get('observer', '')}"


def main() -> None:
    """Measure one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["race", "resnet", "orders", "watch"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ |= {"SAMAR_HOME": home, "SAMAR_SPARE": "0"}
        match asked.part:
            case "race":
                race(asked.rounds)
            case "resnet":
                resnet(asked.seconds, asked.rounds)
            case "orders":
                orders(10 * asked.rounds)
            case _:
                watch(asked.seconds, asked.rounds)


if __name__ == "__main__":
    main()
