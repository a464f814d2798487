"""The lecture of the app, given from beginning to end: every line under "See" is checked."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from samar.jobs.service import Jobs
from samar.web.learn.lecture import read_lecture

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"
PROJECTOR = {"width": 1280, "height": 720}
STEPS_PER_EPOCH = 8
PARTS = read_lecture()[1]

Seen = dict[str, Any]
"""What was measured while the lecture was given."""

CHECKS: dict[str, Callable[[Seen], bool]] = {
    # Two weights
    "SGD ends in the sharp valley; SAM, VaSSO and SAMAR leave it and end in the flat one.": lambda s: (
        "SGD ended at the bottom of the sharp valley" in s["two_valleys"]
        and "SAM, VaSSO and SAMAR ended at the bottom of the flat valley" in s["two_valleys"]
    ),
    "With ρ too small all four end in the sharp valley.": lambda s: (
        "SGD, SAM, VaSSO and SAMAR ended at the bottom of the sharp valley" in s["small_rho"]
    ),
    "With η above 2/curvature all four end in the flat valley.": lambda s: (
        "SGD, SAM, VaSSO and SAMAR ended at the bottom of the flat valley" in s["large_step"]
    ),
    "With ρ too large only SGD reaches the bottom; the others diverge.": lambda s: (
        "SGD ended at the bottom" in s["large_rho"]
        and "SAM, VaSSO and SAMAR diverged" in s["large_rho"]
    ),
    # A race
    "In the end SGD gets more than 95 % of its training labels right, the wrong ones included, but "
    "less than 85 % of the test images.": lambda s: (
        s["race"]["sgd"]["train"] > 0.95 and s["race"]["sgd"]["test"] < 0.85
    ),
    "SAMAR gets less than 75 % of its training labels right, but more than 90 % of the test "
    "images.": lambda s: s["race"]["samar"]["train"] < 0.75 and s["race"]["samar"]["test"] > 0.9,
    "SAM and VaSSO end between the two on the test images.": lambda s: all(
        s["race"]["sgd"]["test"] < s["race"][name]["test"] < s["race"]["samar"]["test"]
        for name in ("sam", "vasso")
    ),
    "The line above the tiles says that SAMAR leads, also at an equal number of gradients.": lambda s: (
        s["race_story"].startswith("SAMAR leads by")
        and "At an equal number of gradients, SAMAR still leads" in s["race_story"]
    ),
    "SGD gives more of the ten wrong labels back than SAMAR.": lambda s: (
        s["given_back"]["SGD"] > s["given_back"]["SAMAR"]
    ),
}


def press(page: Page, label: str) -> None:
    page.locator(f".st-key-button_{label.lower()} button:visible").click()


def expect_status(page: Page, words: str, seconds: float = 60) -> None:
    expect(page.locator(".stage-status")).to_contain_text(words, timeout=1000 * seconds)


def wait_for_epoch(page: Page, epoch: int) -> None:
    page.wait_for_function(
        "(least) => +(document.querySelector('.stage-status').textContent"
        ".match(/epoch (\\d+)/)?.[1] ?? 0) >= least",
        arg=epoch,
        timeout=120_000,
    )


def pause(page: Page, epoch: int) -> int:
    """Pause at an epoch, or soon after, as a person does; returns the step."""
    wait_for_epoch(page, epoch)
    page.keyboard.press("p")
    expect_status(page, "Paused")
    return step(page)


def resume(page: Page) -> None:
    page.keyboard.press("p")
    expect_status(page, "Training")


def start(page: Page, label: str = "Start") -> str:
    press(page, label)
    page.wait_for_url(re.compile("run="))
    return run_of(page)


def run_of(page: Page) -> str:
    return re.search(r"run=([^&]+)", page.url)[1]  # type: ignore[index]


def step(page: Page) -> int:
    """Where the clock stands; the last step while it follows the run."""
    found = re.search(r"step ([\d,]+)", page.locator(".stage-timeline output").inner_text())
    return int(found[1].replace(",", "")) if found else 0


def heading(page: Page, tile: str) -> str:
    return page.locator(f".stage-tile-{tile} header output").inner_text()


def number(page: Page, tile: str) -> float:
    return float(heading(page, tile).split()[0])


def measure(page: Page) -> float:
    """Measure now; returns the largest eigenvalue that the stage then shows."""
    page.keyboard.press("l")
    footer = page.locator(".stage-tile-landscape footer")
    expect(footer).to_contain_text(f"step {step(page):,} ")
    page.wait_for_timeout(1500)
    return number(page, "eigenvalues")


class Told:
    """The numbers of a run, as the store has them."""

    def __init__(self, run: str) -> None:
        jobs = Jobs()
        key, records = jobs.get(run).key, jobs.store.records
        self.steps, self.epochs = records.steps(key), records.epochs(key)
        measured = [e for e in records.events(key) if e.kind == "curvature"]
        self.curvature = [(e.step, e.detail["values"][0], e.detail["lr"]) for e in measured]

    def eigenvalues(self, first: int = 0, last: float = np.inf) -> list[float]:
        """The largest ones that were measured from a step to another."""
        return [value for step, value, _ in self.curvature if first <= step <= last]

    def accuracies(self, first: int = 0, last: float = np.inf, which: str = "test") -> np.ndarray:
        """Those of the epochs that ended from a step to another."""
        at = self.epochs["step"]
        return self.epochs[f"{which}_accuracy"][(first <= at) & (at <= last)]

    def lam(self, first: int, last: float = np.inf) -> np.ndarray:
        """λ from a step to another."""
        at = self.steps["step"]
        return self.steps["lam"][(first <= at) & (at <= last)]


def opened(lecture: Page, number: int) -> Page:
    """The tab that the link of a part opens."""
    with lecture.context.expect_page() as found:
        lecture.locator(f".st-key-lecture_{number} a[target=_blank]").first.click()
    found.value.locator(".samar-clock, .stage-tile-gap").first.wait_for(timeout=60_000)
    found.value.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    return found.value


def two_weights(page: Page, seen: Seen) -> None:
    story = page.locator(".st-key-playground_story")
    expect(story).to_contain_text("valley")
    clock = page.locator(".samar-clock-text")
    page.keyboard.press(" ")
    page.keyboard.press("End")
    expect(clock).to_have_text("step 150 of 150")
    seen["two_valleys"] = story.inner_text()
    titles = {"small_rho": "ρ too small", "large_step": "η above 2/curvature", "large_rho": "ρ too large"}
    for name, title in titles.items():
        before = story.inner_text()
        page.locator(".st-key-p_preset input").click()
        page.get_by_role("option", name=title, exact=True).click()
        expect(story).not_to_have_text(before)
        page.wait_for_timeout(500)
        seen[name] = story.inner_text()


def a_race(page: Page, seen: Seen) -> None:
    race = start(page, "Race")
    expect_status(page, "Finished", seconds=300)
    page.get_by_role("button", name="View").click()
    page.get_by_role("radio", name="gradient evaluations").click()
    expect(page.locator(".stage-timeline output")).to_contain_text("gradients")
    page.keyboard.press("Escape")
    seen["race"] = {}
    for member in Jobs().members(race):
        told = Told(member.id)
        seen["race"][member.settings.optimizer] = {
            which: told.accuracies(which=which)[-1] for which in ("train", "test")
        }
    seen["race_story"] = page.locator(".stage-story").inner_text()
    strip = page.locator(".stage-strip p")
    strip.scroll_into_view_if_needed()
    expect(strip).to_be_in_viewport()
    found = re.findall(r"(\w+) gives (\d+) of 10 wrong labels back", strip.inner_text())
    seen["given_back"] = {name: int(count) for name, count in found}
    print(seen)


def lam_by_hand(page: Page, seen: Seen) -> None:
    run = start(page)
    held = pause(page, 20)
    hold = page.locator(".st-key-hold_now button").filter(has_text="0 (SGD)")
    hold.click()
    expect(page.locator(".stage-marks")).to_contain_text("λ held at 0")
    resume(page)
    free = pause(page, held // STEPS_PER_EPOCH + 31)
    hold.click()
    expect(page.locator(".stage-marks")).to_contain_text("λ free")
    resume(page)
    last = pause(page, free // STEPS_PER_EPOCH + 21)
    page.keyboard.press("x")
    expect_status(page, "Stopped")
    told = Told(run)
    seen["lam"] = {"held": held, "free": free, "last": last, "run": told}
    print(held, free, last, told.eigenvalues(0, held), told.eigenvalues(held + 1, free), told.eigenvalues(free + 1))
    print(told.accuracies(0, held), told.accuracies(held+1, free), told.accuracies(free+1))
    print(told.accuracies(held, held + 8, "train"), told.accuracies(free - 8, free, "train"))
    print(told.lam(free+1).max())


PLANES = """() => [...document.querySelectorAll(".stage-tile-landscape .js-plotly-plot")]
  .map(({ data: [{ z }] }) => z.flat())"""


def the_landscape(run: Page, race: Page, seen: Seen) -> None:
    run.bring_to_front()
    run.keyboard.press("Home")
    expect(run.locator(".stage-tile-landscape footer")).to_contain_text("step 0 ")
    seen["first_loss"] = number(run, "landscape")
    run.keyboard.press(" ")
    expect(run.get_by_label("Pause the replay")).to_be_visible()
    expect(run.locator(".stage-live")).to_have_class(re.compile("stage-on"), timeout=30_000)
    run.keyboard.press("r")
    print("R", step(run))
    run.keyboard.press("t")
    race.bring_to_front()
    race.keyboard.press("Home")
    race.wait_for_timeout(2000)
    first = race.evaluate(PLANES)
    race.keyboard.press("End")
    race.wait_for_timeout(2000)
    last = race.evaluate(PLANES)
    print(seen["first_loss"], [np.mean(p) for p in first], [(np.mean(p), np.max(p), np.median(p)) for p in last])
    seen["planes"] = first, last


def the_rate(page: Page, seen: Seen) -> None:
    run = start(page)
    before = pause(page, 25)
    h = [measure(page)]
    slider = page.locator(".st-key-lr input[type=range]")
    slider.focus()
    print(page.locator(".st-key-lr").inner_text())
    for _ in range(7):
        slider.press("ArrowRight")
        print(page.locator(".st-key-lr").inner_text())
    page.wait_for_timeout(1000)
    print(page.locator(".st-key-lr").inner_text())
    page.locator(".stage-tile-gap header b").click()
    for n in range(1, 17):
        page.keyboard.press("n")
        page.wait_for_function("(s)=>document.querySelector('.stage-timeline output').textContent.includes('step '+s.toLocaleString('en'))", arg=before + n)
    h.append(measure(page))
    resume(page)
    last = pause(page, before // 8 + 22)
    h.append(measure(page))
    told = Told(run)
    print(h, before, last, told.curvature, told.accuracies(before))


def collapse(page: Page, seen: Seen) -> None:
    run = start(page)
    before = pause(page, 16)
    slider = page.locator(".st-key-rho input[type=range]")
    slider.focus()
    for _ in range(6):
        slider.press("ArrowRight")
    expect(page.locator(".st-key-rho")).to_contain_text("2")
    page.locator(".stage-tile-gap header b").click()
    resume(page)
    story = page.locator(".stage-story")
    expect(story).to_contain_text("the network forgot everything", timeout=60_000)
    print(story.inner_text(), heading(page, "lam"), heading(page, "loss"), heading(page, "accuracy"), heading(page, "eigenvalues"))
    at = step(page)
    wait_for_epoch(page, before // 8 + 11)
    slider.focus()
    for _ in range(6):
        slider.press("ArrowLeft")
    low = step(page)
    wait_for_epoch(page, low // 8 + 21)
    print(heading(page, "lam"), heading(page, "loss"), heading(page, "accuracy"), heading(page, "eigenvalues"))
    story.get_by_role("button").click()
    page.wait_for_function("(old) => !location.href.includes(old)", arg=run, timeout=30_000)
    told = Told(run)
    print(before, at, low, told.curvature[-30:], told.accuracies())
    wait_for_epoch(page, before // 8 + 10)
    print(heading(page, "accuracy"))
    press(page, "Stop")


def test_the_lecture_is_given_as_it_is_written(
    serve_anew: Callable[[Path], str],
    visit: Callable[..., Page],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAMAR_HOME", str(tmp_path))
    lecture = visit(f"{serve_anew(APP)}/lecture", viewport=PROJECTOR)
    import time
    seen: Seen = {}
    def t(*a): print("TIME", time.perf_counter()-b, *a, flush=True)
    b=time.perf_counter()
    two_weights(opened(lecture, 1), seen); t()
    race = opened(lecture, 2)
    a_race(race, seen); t()
    run = opened(lecture, 3)
    lam_by_hand(run, seen); t()
    the_landscape(run, race, seen); t()
    the_rate(opened(lecture, 5), seen); t()
    collapse(opened(lecture, 6), seen); t()
