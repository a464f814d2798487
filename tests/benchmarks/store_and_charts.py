"""What recording costs a run, and how soon a chart shows what was recorded.

Run: ``python -m tests.benchmarks.store_and_charts``

1. The store's share of a run's wall time: the noisy-digits preset through the real worker loop,
   with the time inside the store's calls added up.
2. With 100,000 (then 1,000,000) steps recorded: reading everything once (a new tab), then the usual
   look (read what is new, encode it for the stage), and the size of the message.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ["SAMAR_HOME"] = tempfile.mkdtemp()

from samar.charts.stage.feed import Feed, StageRun
from samar.jobs.engine.worker import run as work
from samar.jobs.job import Job
from samar.jobs.records import RunHistory
from samar.jobs.store import Store
from samar.jobs.training_records import StepRecord
from samar.training.presets import PRESETS
from samar.training.settings import TrainSettings


class Timed:
    """Wraps an object's methods and adds up the time spent in them."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - started

        return call


def claimed(store: Store, config: TrainSettings) -> Job:
    store.create(config)
    run = store.claim_next("long", limit=1000)
    assert run is not None
    return run


def store_share(store: Store) -> None:
    run = claimed(store, PRESETS["noisy_digits"].config())
    store.records, store.orders = Timed(store.records), Timed(store.orders)
    started = time.perf_counter()
    work(store, run)
    wall = time.perf_counter() - started
    inside = store.records.seconds + store.orders.seconds
    print(f"store's share of the run: {inside:.3f} s of {wall:.1f} s = {inside / wall:.2%} (≤ 2 %)")
    store.records, store.orders = store.records.inner, store.orders.inner


def record(step: int) -> StepRecord:
    wave = 1 + 0.5 * ((step * 7919) % 1000) / 1000
    return StepRecord(
        step, 1, 1 / wave, 1.1 / wave, 0.1 * wave, wave, wave, 2 * wave, 0.05, 2 * step, step / 50
    )


def refresh(count: int, store: Store) -> None:
    run = claimed(store, TrainSettings())
    for first in range(1, count, 50_000):
        store.records.append(run.key, [record(n) for n in range(first, first + 50_000)])
    history = RunHistory(store.records, run.key)
    feed = Feed()
    started = time.perf_counter()
    history.refresh()
    first_read = time.perf_counter() - started
    times, size = [], 0
    for tick in range(9):
        store.records.append(run.key, [record(count + 100 * tick + n) for n in range(1, 101)])
        started = time.perf_counter()
        steps, epochs = history.refresh()
        shown = StageRun(run.id, "", run.settings, steps, epochs)
        size = len(json.dumps(feed.message([shown])))
        times.append(time.perf_counter() - started)
    print(
        f"{count:,} steps: first read {first_read:.2f} s, "
        f"refresh {statistics.median(times):.3f} s, message {size / 1e3:.0f} kB "
    )


if __name__ == "__main__":
    shared = Store()
    store_share(shared)
    refresh(100_000, shared)
    refresh(1_000_000, shared)
