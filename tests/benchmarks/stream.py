"""How soon the browser is told and obeyed, and what it costs the server to tell many.

Each part starts a server of its own and prints medians and 95th percentiles::

    python -m tests.benchmarks.stream told      # from a record in the store to the page
    python -m tests.benchmarks.stream obeyed    # from a press to the word that it was obeyed
    python -m tests.benchmarks.stream presses   # five hundred quick presses, in order
    python -m tests.benchmarks.stream watchers  # thirty streams of one run: cores and memory
    python -m tests.benchmarks.stream pictures  # pictures a second of a race of four at pace epoch
"""

import argparse
import os
import re
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from samar.jobs.job import Job
from samar.jobs.records import CHANGE
from samar.jobs.service import Jobs
from samar.jobs.training_records import StepRecord
from samar.kinds.race import RaceSettings
from samar.training.settings import TrainSettings
from tests.browser.conftest import CHROMIUM
from tests.serving import Server, serving

RUN = "/train?epochs=1000&label_noise=0.4"
LISTEN = """
([number, zero]) => {
  window.late = [];
  new EventSource(`live/${number}`).onmessage = ({ data }) => {
    const text = JSON.parse(data).members?.[0]?.tables?.steps?.columns?.seconds;
    if (!text) return;
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    window.late.push(Date.now() / 1000 - zero - new Float32Array(bytes.buffer).at(-1));
  };
}
"""
"""Notes, at every message, how long ago its last step was written."""
PRESS = """
() => new Promise((resolve) => {
  const word = document.querySelector(".steer-word");
  const pills = [...document.querySelectorAll(".steer-lam_held button")];
  const began = performance.now();
  const looking = new MutationObserver(() => {
    if (!word.textContent.startsWith("obeyed")) return;
    looking.disconnect();
    resolve((performance.now() - began) / 1000);
  });
  pills.find((pill) => pill.ariaPressed !== "true").click();
  looking.observe(word, { childList: true, characterData: true, subtree: true });
})
"""
PICTURES = """
(seconds) => new Promise((resolve) => {
  const until = performance.now() + 1000 * seconds;
  let [before, changed] = ["", 0];
  const look = () => {
    const now = [...document.querySelectorAll(".stage-tiles canvas")].map(({ plane, traces }) =>
      plane?.z.flat().reduce((sum, height) => sum + height, 0) ??
      traces?.map(({ y }) => `${y.length} ${y.at(-1)}`)).join();
    changed += now !== before;
    before = now;
    if (performance.now() < until) requestAnimationFrame(look);
    else resolve(changed / seconds);
  };
  requestAnimationFrame(look);
})
"""
"""How many pictures a second differ from the one before, by the numbers that were drawn."""
PRESSES = """
async (presses) => {
  for (let press = 0; press < presses; press++) {
    document.querySelectorAll(".steer-lam_held button")[press % 2].click();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
"""


def told(seconds: Sequence[float]) -> str:
    """Median, 95th percentile and number."""
    ordered = sorted(seconds)
    high = ordered[int(0.95 * (len(ordered) - 1))]
    middle = statistics.median(ordered)
    return f"{1000 * middle:.0f} ms, 95 % within {1000 * high:.0f} ms, of {len(ordered)}"


@contextmanager
def page_of(address: str) -> Iterator[Page]:
    """A page of 1280 × 720 in Debian's Chromium without a GPU."""
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        browser: Browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(address)
        page.locator(".stage-tile-gap").wait_for()
        yield page
        browser.close()


def started(page: Page, pace: str) -> Job:
    """Start a run on the page, and wait until it is at work."""
    page.locator(".st-key-button_start button").click()
    page.wait_for_url(re.compile("run="))
    page.locator(".steer-pace select").select_option(pace)
    page.locator(".steer-word", has_text="obeyed").wait_for(timeout=60_000)
    return Jobs().all("train")[0]


def ending(page: Page) -> None:
    """Stop the run."""
    page.locator(".steer-stop").click()
    page.locator(".stage-status", has_text="Stopped").wait_for(timeout=60_000)


def records(server: Server) -> None:
    """This process plays the worker, and writes a step every 50 ms."""
    jobs = Jobs()
    with patched_schedule():
        jobs.submit(TrainSettings(epochs=1000))
        run = jobs.store.claim_next("long", 1)
    assert run is not None
    zero = time.time()
    with page_of(f"{server.address}/train?run={run.id}") as page:
        page.evaluate(LISTEN, [run.key, zero])
        for step in range(1, 401):
            jobs.store.beat(run, done=step)
            values = (1, 1.0, 1.1, 0.1, 1.0, 0.5, 1.0, 0.1, 2 * step, time.time() - zero)
            jobs.store.records.append(run.key, [StepRecord(step, *values)])
            time.sleep(0.05)
        page.wait_for_timeout(500)
        print("a record is in the page after", told(page.evaluate("window.late")[5:]))


@contextmanager
def patched_schedule() -> Iterator[None]:
    """No worker begins what this process asks for."""
    import samar.jobs.service as service

    schedule, service.schedule = service.schedule, lambda store: None
    try:
        yield
    finally:
        service.schedule = schedule


def orders(server: Server) -> None:
    """Single presses on λ of a digits run, a second apart, at every pace."""
    for pace in ("off", "fast", "epoch"):
        with page_of(server.address + RUN) as page:
            started(page, pace)
            page.wait_for_timeout(5000)
            taken = []
            for _ in range(20):
                taken.append(float(page.evaluate(PRESS)))
                page.wait_for_timeout(1000)
            print(f"a press at pace {pace} is obeyed after", told(taken), flush=True)
            ending(page)


def presses(server: Server, number: int = 500) -> None:
    """Presses on λ every 5 ms, counted in the store."""
    with page_of(server.address + RUN) as page:
        run = started(page, "off")
        began = time.time()
        page.evaluate(PRESSES, number)
        pressed = time.time() - began
        page.locator(".steer-word", has_text="obeyed").wait_for(timeout=600_000)
        ending(page)
    store = Jobs().store
    asked = [o.detail for o in store.orders.after(0, run.key) if o.command == CHANGE]
    made = [e.detail for e in store.records.events(run.key) if e.kind == CHANGE]
    wanted = [0, 1] * (number // 2)
    in_order = all([each["lam_held"] for each in some] == wanted for some in (asked, made))
    print(f"{number} presses in {pressed:.1f} s: {len(made)} obeyed, in order: {in_order},", end="")
    print(f" the last after {time.time() - began:.1f} s")


def watchers(server: Server, number: int = 30, seconds: float = 20) -> None:
    """What the server's process takes while a run is followed by nobody, by one, by all."""
    jobs = Jobs()
    run = jobs.get(jobs.submit(TrainSettings(epochs=10_000, label_noise=0.4), pace="fast"))
    while jobs.get(run.id).done < 50:
        time.sleep(0.2)
    process, connections = psutil.Process(server.pid), []
    heard = [0] * number

    def listen(place: int) -> None:
        connection = HTTPConnection("127.0.0.1", server.port)
        connections.append(connection)
        headers = {"Accept": "text/event-stream"}
        connection.request("GET", f"/live/{run.key}", headers=headers)
        answer = connection.getresponse()
        while line := answer.readline():
            heard[place] += line.startswith(b"data: {")

    for count in (0, 1, number):
        while len(connections) < count:
            place = len(connections)
            threading.Thread(target=listen, args=(place,), daemon=True).start()
            while len(connections) == place:
                time.sleep(0.01)
        time.sleep(3)
        before, told_before = sum(process.cpu_times()[:2]), sum(heard)
        time.sleep(seconds)
        cores = (sum(process.cpu_times()[:2]) - before) / seconds
        rate = (sum(heard) - told_before) / seconds / max(count, 1)
        memory = process.memory_info().rss / 2**20
        print(
            f"{count} watchers: {cores:.2f} cores, {rate:.0f} messages a second for each,", end=""
        )
        print(f" the server has {memory:.0f} MiB", flush=True)
    jobs.stop(run.id)
    while jobs.get(run.id).active:
        time.sleep(0.1)


def pictures(server: Server) -> None:
    """Of all four optimizers, while they race and are observed on the same processor."""
    jobs = Jobs()
    race = jobs.submit(
        RaceSettings(optimizers="sgd,sam,vasso,samar", label_noise=0.4), pace="epoch"
    )
    with page_of(f"{server.address}/train?run={race}") as page:
        page.locator(".stage-tile-landscape footer", has_text="step").wait_for(timeout=60_000)
        page.wait_for_timeout(5000)
        before, began = jobs.get(race).done, time.time()
        for _ in range(3):
            print(f"{page.evaluate(PICTURES, 5):.0f} pictures a second", end=", ")
        speed = (jobs.get(race).done - before) / (time.time() - began)
        print(f"while each trains {speed:.1f} steps a second", end="")
    time.sleep(2)
    before, began = jobs.get(race).done, time.time()
    time.sleep(15)
    print(f"; {(jobs.get(race).done - before) / (time.time() - began):.1f} with the page closed")
    jobs.stop(race)
    while jobs.get(race).active:
        time.sleep(0.1)


PARTS = {
    "pictures": pictures,
    "told": records,
    "obeyed": orders,
    "presses": presses,
    "watchers": watchers,
}


def main() -> None:
    """Measure the parts that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=PARTS, default=list(PARTS))
    for part in parser.parse_args().parts:
        with tempfile.TemporaryDirectory() as home:
            os.environ["SAMAR_HOME"] = home
            with serving(Path(home)) as server:
                PARTS[part](server)


if __name__ == "__main__":
    main()
