"""A class on one server: thirty sessions over all pages while two jobs compute on two cores.

Two of the sessions are real browsers, the others speak Streamlit's protocol. Nobody may lose a
session or see an exception; how quickly a slider and the health check answer, what the server takes
of memory and how much slower the jobs become is measured, and judged in the whole form alone::

    python -m tests.campaign.load            # ten minutes; --short for half a minute
"""

import argparse
import asyncio
import os
import random
import shutil
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from samar.jobs.service import Jobs
from samar.training.settings import TrainSettings
from tests.browser.conftest import CHROMIUM
from tests.campaign.outcome import Outcome
from tests.campaign.visitor import Visitor, completed
from tests.serving import Server, serving

PAGES = (
    "",
    "playground",
    "lessons",
    "lecture",
    "glossary",
    "train",
    "runs",
    "sweeps",
    "models",
    "landscape",
    "curvature",
    "compare",
    "about",
    "study",
)
SLIDERS = ("p_rho", "p_lr")
FIRST = 20
"""Sessions that come at once to a server that nobody has visited."""
SLIDER_SECONDS, HEALTH_SECONDS, SLOWED, GROWN_MB = 1.0, 0.5, 0.25, 250
"""What the whole form allows: a slider's 95th percentile, the slowest answer of the health check,
the share of their speed that jobs lose to the server, and what it keeps of memory after all have
left."""
BEHIND_ALL_OTHERS = """#!/bin/sh
exec setsid -w nice -n 19 sh -c 'echo 19 2>/dev/null >/proc/self/autogroup; exec "$@"' sh {} "$@"
"""
"""Starts a browser with what the rest leaves of the processor: it stands for another machine than
the server's. Linux may weigh sessions against each other, so it gets one of its own."""
EXPIRY_SECONDS = 125
"""So long Streamlit keeps a session whose connection has gone."""
RUNS = [TrainSettings(name=f"load {n}", epochs=10_000, seed=n, optimizer="samar") for n in (1, 2)]


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes:
        visitors: sessions that speak the protocol.
        browsers: real ones.
        seconds: for which they are there; 0 for one round over all pages.
        pause: seconds between two acts of a visitor, at most.
        jobs: how many compute meanwhile.
        alone: seconds for which the jobs compute with nobody there.
        judged: whether what is slow is a fault.
    """

    visitors: int
    browsers: int
    seconds: float
    pause: float
    jobs: int
    alone: float
    judged: bool


SHORT = Plan(visitors=6, browsers=0, seconds=0, pause=0.05, jobs=0, alone=0, judged=False)
WHOLE = Plan(visitors=28, browsers=2, seconds=600, pause=16, jobs=2, alone=60, judged=True)


@dataclass
class Seen:
    """What was measured on the way."""

    sliders: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def campaign(short: bool, plan: Plan | None = None) -> Outcome:
    """Let a class visit a server.

    Args:
        short: one round of a few visitors, and no judgement of times.
        plan: instead of the usual one.
    """
    plan = plan or (SHORT if short else WHOLE)
    outcome, seen = Outcome("load"), Seen()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        variables = {"SAMAR_HOME": str(home), "SAMAR_MAX_RUNS": str(max(1, plan.jobs))}
        variables |= {"OMP_NUM_THREADS": "1", "SAMAR_SPARE": "0" if short else "1"}
        stack.enter_context(patch.dict(os.environ, variables))
        server = stack.enter_context(serving(home))
        completed(_all(server, plan, seen, outcome))
    outcome.tried = len(seen.pages) + len(seen.sliders)
    outcome.faults += sorted(set(seen.faults))
    return outcome


async def _all(server: Server, plan: Plan, seen: Seen, outcome: Outcome) -> None:
    watching = asyncio.create_task(_watch(server, seen))
    figures = outcome.figures
    firsts = await _firsts(server, seen)
    figures["slowest of 20 first sessions"] = f"{max(firsts):.1f} s"
    figures["health at worst, 20 first sessions"] = f"{max(seen.health):.2f} s"
    seen.health.clear()
    before = seen.memory[-1]
    jobs, alone = Jobs(), 0.0
    ids = [jobs.submit(settings) for settings in RUNS[: plan.jobs]]
    if ids:
        await _until(lambda: all(jobs.get(each).done for each in ids), 120)
        alone = await _speed(jobs, ids, plan.alone)
        seen.health.clear()
    pace = asyncio.create_task(_pace(jobs, ids, plan.seconds)) if ids else None
    await _class(server, plan, seen, ids)
    figures |= {
        "sessions": str(plan.visitors + plan.browsers),
        "pages and sliders": str(len(seen.pages) + len(seen.sliders)),
        "a page, median and 95 %": _two(seen.pages),
        "a slider, median and 95 %": _two(seen.sliders),
        "health, 99 % and worst": f"{_share(seen.health, 0.99):.2f} s, {max(seen.health):.2f} s",
        "memory before and at most": f"{before:.0f} MB, {max(seen.memory):.0f} MB",
    }
    slowed = 0.0
    if pace is not None:
        speed, elsewhere = await pace
        slowed = 1 - speed / (alone * (1 - elsewhere))
        figures["jobs slower by"] = f"{slowed:.0%} ({alone:.1f} steps/s alone)"
        figures["with what visitors and browsers take"] = (
            f"{1 - speed / alone:.0%} ({elsewhere:.0%} of the processors is theirs)"
        )
        for each in ids:
            jobs.stop(each)
    if plan.judged:
        await asyncio.sleep(EXPIRY_SECONDS)
        async with Visitor(server.port, "the last") as last:
            await last.visit()
        await asyncio.sleep(3)
        kept = seen.memory[-1] - before
        figures["memory when all have left"] = f"{seen.memory[-1]:.0f} MB"
        outcome.faults += _judged(seen, slowed, kept)
    watching.cancel()


def _judged(seen: Seen, slowed: float, kept: float) -> list[str]:
    """What was too slow or too much, in a sentence each."""
    slider, health = _share(seen.sliders, 0.95), max(seen.health)
    return [
        sentence
        for sentence, wrong in (
            (f"A slider took {slider:.2f} s (95 %).", slider > SLIDER_SECONDS),
            (f"The health check took {health:.2f} s.", health > HEALTH_SECONDS),
            (f"The jobs became slower by {slowed:.0%}.", slowed > SLOWED),
            (f"The server kept {kept:.0f} MB.", kept > GROWN_MB),
        )
        if wrong
    ]


async def _firsts(server: Server, seen: Seen) -> list[float]:
    """Sessions that come at once to a fresh server; the seconds each waited for its page."""

    async def one(number: int) -> float:
        async with Visitor(server.port, f"first {number}") as visitor:
            seconds = await visitor.visit(PAGES[number % len(PAGES)])
        seen.faults += visitor.faults
        return seconds

    return list(await asyncio.gather(*(one(number) for number in range(FIRST))))


async def _class(server: Server, plan: Plan, seen: Seen, ids: Sequence[str]) -> None:
    """Everybody comes, and goes over the pages until the time is over."""
    end = time.monotonic() + plan.seconds
    async with AsyncExitStack() as stack:
        tabs = [
            _browse(await _browser(stack, server, seen), server, number, end, ids)
            for number in range(plan.browsers)
        ]
        visits = [_stay(server, plan, seen, number, end, ids) for number in range(plan.visitors)]
        await asyncio.gather(*visits, *tabs)


async def _stay(
    server: Server, plan: Plan, seen: Seen, number: int, end: float, ids: Sequence[str]
) -> None:
    """One visitor, who begins somewhere else than the others and takes another time."""
    chance = random.Random(number)
    async with Visitor(server.port, f"visitor {number}") as visitor:
        for turn in range(len(PAGES) if not plan.seconds else 1_000_000):
            if plan.seconds and time.monotonic() > end:
                break
            page = PAGES[(turn + number) % len(PAGES)]
            query = f"run={chance.choice(ids)}" if ids and page == "train" else ""
            seen.pages.append(await visitor.visit(page, query))
            if page == "playground":
                for _ in range(3):
                    await _slide(visitor, chance, seen)
                    await asyncio.sleep(chance.uniform(0, plan.pause / 4))
            await asyncio.sleep(chance.uniform(plan.pause / 4, plan.pause))
    seen.faults += visitor.faults


async def _slide(visitor: Visitor, chance: random.Random, seen: Seen) -> None:
    """Move one of the playground's sliders."""
    name = visitor.named(chance.choice(SLIDERS))
    if name is None:
        seen.faults.append(f"{visitor.name} finds no slider on the playground")
        return
    slider: Any = visitor.widgets[name]
    if slider.options:
        value: dict[str, Any] = {"string_array_value": [chance.choice(slider.options)]}
    else:
        places = round((slider.max - slider.min) / slider.step)
        at = slider.min + slider.step * chance.randint(0, places)
        value = {"double_array_value": [at]}
    seen.sliders.append(await visitor.operate(name, **value))


async def _browser(stack: AsyncExitStack, server: Server, seen: Seen) -> Any:
    """A page of a real browser, whose errors are faults."""
    from playwright.async_api import async_playwright

    program = shutil.which("chromium")
    assert program, "chromium is absent: apt-get install chromium"
    start = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "browser"
    start.write_text(BEHIND_ALL_OTHERS.format(program))
    start.chmod(0o755)
    playwright = await stack.enter_async_context(async_playwright())
    browser = await playwright.chromium.launch(executable_path=start, args=CHROMIUM)
    stack.push_async_callback(browser.close)
    page = await browser.new_page()
    page.on("pageerror", lambda error: seen.faults.append(f"a browser: {error}"))
    page.set_default_timeout(90_000)
    return page


async def _browse(page: Any, server: Server, number: int, end: float, ids: Sequence[str]) -> None:
    """One browser watches a job that computes, another plays and looks around."""
    address = f"http://127.0.0.1:{server.port}"
    while time.monotonic() < end:
        where = [f"train?run={ids[0]}"] if number == 0 and ids else ["playground", "lessons", ""]
        for each in where:
            await page.goto(f"{address}/{each}")
            await page.locator("[data-testid=stApp]").wait_for()
            await page.wait_for_timeout(60_000 if number == 0 else 15_000)
            shown = await page.locator("[data-testid=stException]").count()
            assert not shown, f"a browser sees an exception on /{each}"
            if time.monotonic() > end:
                break


async def _watch(server: Server, seen: Seen) -> None:
    """Ask the server now and then how it is, and what it takes of memory."""
    process = psutil.Process(server.pid)

    def ask() -> float:
        began = time.perf_counter()
        with urllib.request.urlopen(f"{server.address}/_stcore/health", timeout=60) as answer:
            answer.read()
        return time.perf_counter() - began

    while True:
        try:
            seen.health.append(await asyncio.to_thread(ask))
        except OSError as error:
            seen.faults.append(f"the health check failed ({error})")
        seen.memory.append(process.memory_info().rss / 1e6)
        await asyncio.sleep(0.25)


async def _speed(jobs: Jobs, ids: Sequence[str], seconds: float) -> float:
    """Steps a second, of all jobs together."""
    began, first = time.monotonic(), sum(jobs.get(each).done for each in ids)
    await asyncio.sleep(seconds)
    return (sum(jobs.get(each).done for each in ids) - first) / (time.monotonic() - began)


async def _pace(jobs: Jobs, ids: Sequence[str], seconds: float) -> tuple[float, float]:
    """Steps a second, and the share of the processors that visitors and browsers took meanwhile.

    They stand for other machines, whose processors the jobs do not need.
    """
    began, first = time.monotonic(), _elsewhere()
    speed = await _speed(jobs, ids, seconds)
    spent = (_elsewhere() - first) / (time.monotonic() - began)
    return speed, spent / (os.cpu_count() or 1)


def _elsewhere() -> float:
    """Processor seconds of this process and of all that Playwright has started."""
    seconds = time.process_time()
    for driver in psutil.Process().children():
        if "playwright" in " ".join(driver.cmdline()):
            for each in (driver, *driver.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    seconds += sum(each.cpu_times()[:4])  # with children that have ended
    return seconds


async def _until(true: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"nothing came within {seconds:g} s"
        await asyncio.sleep(0.2)


def _share(values: Sequence[float], share: float) -> float:
    """The value below which so many lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def _two(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} s, {_share(values, 0.95):.2f} s" if values else "none"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seconds", type=float, default=WHOLE.seconds)
    chosen = parser.parse_args()
    alone = min(WHOLE.alone, chosen.seconds / 3)
    whole = Plan(**{**vars(WHOLE), "seconds": chosen.seconds, "alone": alone})
    found = campaign(chosen.short, None if chosen.short else whole)
    for name, value in found.figures.items():
        print(f"{name:40} {value}")
    print(*(found.faults or ["no faults"]), sep="\n")
