"""What keeping the stage up to date costs, per tick, for a short and for a very long run.

A tick reads what is new in the store and builds the message; the long run has 100,000 steps, 200
epochs and as many landscapes. Then a run trains at full speed while Chromium, without a graphics
card, shows it: how evenly the page draws is read off its own animation frames.

    python -m tests.benchmarks.stage [--ticks 20] [--seconds 15]
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from samar.charts.stage.feed import Feed, Plane, StageRun
from samar.charts.stage.tiles import tiles
from samar.charts.stage.words import status_line, story
from samar.jobs.records import RunHistory
from samar.jobs.store import Store
from samar.jobs.training_records import EpochRecord, StepRecord
from samar.landscapes.result import Landscape
from samar.training.settings import TrainSettings
from tests.benchmarks.waits import LAMBDA, SURFACES, serving

NEW_STEPS = 60
"""That arrive between two ticks."""


def step(number: int) -> StepRecord:
    known = {field.name: 1.0 + 0.001 * (number % 97) for field in fields(StepRecord)}
    known |= {"step": number, "epoch": 1 + number // 500, "grad_evals": 2 * number}
    known |= {"seconds": 0.01 * number}
    return StepRecord(**known)  # type: ignore[arg-type]


def epoch(number: int) -> EpochRecord:
    known = {field.name: 0.5 for field in fields(EpochRecord)}
    known |= {"epoch": number, "step": 500 * number, "train_images": 100}
    return EpochRecord(**known)  # type: ignore[arg-type]


def planes(count: int) -> list[Plane]:
    axis = np.linspace(-1, 1, 9)
    loss = np.add.outer(axis**2, axis**2)
    done = np.ones((9, 9), bool)
    return [
        Plane(500 * n, 0.0, Landscape((axis, axis), loss * n, loss, done, {"images": 128}))
        for n in range(1, count + 1)
    ]


def ticks(steps: int, count: int, folder: Path) -> tuple[list[float], list[int]]:
    """Seconds and bytes of each tick while a run of so many steps grows further."""
    store = Store(f"sqlite:///{folder / f'{steps}.db'}")
    run = store.get(store.create(TrainSettings(epochs=10_000)))
    for begin in range(1, steps + 1, 10_000):
        chunk = range(begin, min(begin + 10_000, steps + 1))
        store.records.append(run.key, [step(n) for n in chunk])
    store.records.append(run.key, epochs=[epoch(n) for n in range(1, steps // 500 + 1)])
    for number in range(steps // 500):
        values = {"values": [3.0, 2.0, 1.0], "trace": 9.0, "lr": 0.05}
        store.records.note(run.key, 500 * number, "curvature", **values)
    history, feed, seen = RunHistory(store.records, run.key), Feed("a"), planes(steps // 500)
    seconds, sizes = [], []
    for number in range(count + 1):
        first = steps + 1 + number * NEW_STEPS
        store.records.append(run.key, [step(n) for n in range(first, first + NEW_STEPS)])
        began = time.perf_counter()
        events = store.records.events(run.key)
        new_steps, new_epochs = history.refresh()
        shown = StageRun("a", "SAMAR", run.settings, new_steps, new_epochs, events, seen, True)
        data = {"message": feed.message([shown]), "spec": tiles([shown], {})}
        words = [status_line(run, [shown]), story(run, [shown])]
        text = json.dumps([data, words])
        if number:  # the first brings everything
            seconds.append(time.perf_counter() - began)
            sizes.append(len(text))
    return seconds, sizes


FRAMES = """(seconds) => new Promise((resolve) => {
  const gaps = [];
  let before = performance.now();
  const end = before + 1000 * seconds;
  const frame = (now) => {
    gaps.push(now - before);
    before = now;
    if (now < end) requestAnimationFrame(frame);
    else resolve(gaps);
  };
  requestAnimationFrame(frame);
})"""


def frames(seconds: float) -> None:
    """Print how evenly a page with a live run draws."""
    app = Path(__file__).parents[2] / "app.py"
    with (
        tempfile.TemporaryDirectory() as home,
        serving(app, Path(home)) as (address, _),
        sync_playwright() as playwright,
    ):
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=SURFACES)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(f"{address}/train?preset=noisy_digits&epochs=10000")
        page.locator(".st-key-button_start button").click(timeout=60_000)
        page.locator(LAMBDA.selector).wait_for(timeout=60_000, state="attached")
        page.wait_for_timeout(3000)
        gaps = sorted(page.evaluate(FRAMES, seconds))
        speed = page.locator(".stage-status").inner_text()
        page.locator(".st-key-button_stop button").click()
        page.locator(".stage-status", has_text="Stopped").wait_for(timeout=60_000)
        browser.close()
    late = sum(gap > 100 for gap in gaps)
    print(
        f"live page: {len(gaps) / seconds:.0f} frames a second, median gap "
        f"{statistics.median(gaps):.0f} ms, longest {gaps[-1]:.0f} ms, {late} above 100 ms "
        f"in {seconds:g} s ({speed})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ticks", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=15)
    options = parser.parse_args()
    medians = {}
    with tempfile.TemporaryDirectory() as folder:
        for steps in (1_000, 100_000):
            seconds, sizes = ticks(steps, options.ticks, Path(folder))
            medians[steps] = 1000 * statistics.median(seconds)
            print(
                f"{steps:,} steps: {medians[steps]:.1f} ms a tick (at most "
                f"{1000 * max(seconds):.1f}), {statistics.median(sizes) / 1024:.1f} kB"
            )
    print(f"ratio {medians[100_000] / medians[1_000]:.2f}")
    frames(options.seconds)


if __name__ == "__main__":
    main()
