"""A class on one server: thirty sessions over all pages while two jobs compute.

Sessions speak Streamlit's protocol. Nobody may lose a session or see an exception; how quickly a
slider and the health check answer and what the server keeps of memory is measured, and judged in
the whole form alone, which takes ten minutes.
"""

import asyncio
import os
import random
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from samar.jobs.service import Jobs
from samar.training.settings import TrainSettings
from tests.campaign.outcome import Outcome
from tests.campaign.visitor import Visitor, completed
from tests.serving import Server, serving

PAGES = ("", "playground", "lessons", "lecture", "train", "runs", "sweeps", "models", "compare")
PAGES += ("landscape", "curvature", "study")
SLIDERS = ("p_rho", "p_lr")
SLIDER_SECONDS, HEALTH_SECONDS, GROWN_MB = 1.0, 0.5, 250
"""Limits of the whole form: a slider's 95th percentile, the slowest answer of the health check, and
what the server keeps of memory after all have left."""
EXPIRY_SECONDS = 125
"""So long Streamlit keeps a session whose connection has gone."""
RUNS = [TrainSettings(name=f"load {n}", epochs=10_000, seed=n, optimizer="samar") for n in (1, 2)]


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes:
        visitors: how many sessions, which come at once to a server that nobody has visited.
        turns: pages that each of them opens at least.
        seconds: for which they stay at least.
        pause: seconds between two acts of a visitor, at most.
        jobs: how many compute meanwhile.
        judged: whether what is slow is a fault.
    """

    visitors: int
    turns: int
    seconds: float
    pause: float
    jobs: int
    judged: bool


SHORT = Plan(visitors=3, turns=4, seconds=0, pause=0.05, jobs=0, judged=False)
WHOLE = Plan(visitors=30, turns=len(PAGES), seconds=600, pause=16, jobs=2, judged=True)


@dataclass
class Seen:
    """What was measured on the way."""

    sliders: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def campaign(short: bool) -> Outcome:
    """Let a class visit a server; the short form judges no times."""
    plan = SHORT if short else WHOLE
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
    jobs = Jobs()
    ids = [jobs.submit(settings) for settings in RUNS[: plan.jobs]]
    end = time.monotonic() + plan.seconds
    visits = [_stay(server, plan, seen, number, end, ids) for number in range(plan.visitors)]
    await asyncio.gather(*visits)
    before, most = seen.memory[0], max(seen.memory)
    outcome.figures |= {
        "a page, median and 95 %": _two(seen.pages),
        "a slider, median and 95 %": _two(seen.sliders),
        "health, 99 % and worst": f"{_share(seen.health, 0.99):.2f} s, {max(seen.health):.2f} s",
        "memory before and at most": f"{before:.0f} MB, {most:.0f} MB",
        "steps of the jobs": str(sum(jobs.get(each).done for each in ids)),
    }
    for each in ids:
        jobs.stop(each)
    if plan.judged:
        await asyncio.sleep(EXPIRY_SECONDS)
        async with Visitor(server.port, "the last") as last:
            await last.visit()
        await asyncio.sleep(3)
        slider, health = _share(seen.sliders, 0.95), max(seen.health)
        kept = seen.memory[-1] - before
        for sentence, wrong in (
            (f"A slider took {slider:.2f} s (95 %).", slider > SLIDER_SECONDS),
            (f"The health check took {health:.2f} s.", health > HEALTH_SECONDS),
            (f"The server kept {kept:.0f} MB.", kept > GROWN_MB),
        ):
            outcome.faults += [sentence] * wrong
    watching.cancel()


async def _stay(
    server: Server, plan: Plan, seen: Seen, number: int, end: float, ids: Sequence[str]
) -> None:
    """One visitor, who begins somewhere else than the others and takes another time."""
    chance = random.Random(number)
    async with Visitor(server.port, f"visitor {number}") as visitor:
        turn = 0
        while turn < plan.turns or time.monotonic() < end:
            page = PAGES[(turn + plan.turns * number) % len(PAGES)]
            query = f"run={chance.choice(ids)}" if ids and page == "train" else ""
            seen.pages.append(await visitor.visit(page, query))
            if page == "playground":
                for _ in range(3):
                    await _slide(visitor, chance, seen)
            await asyncio.sleep(chance.uniform(plan.pause / 4, plan.pause))
            turn += 1
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


def _share(values: Sequence[float], share: float) -> float:
    """The value below which so many lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def _two(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} s, {_share(values, 0.95):.2f} s" if values else "none"
