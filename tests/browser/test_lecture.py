"""The lecture of the app, given from beginning to end: every line under "See" is checked."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from samar.jobs.service import Jobs
from samar.web.learn.lecture import read_lecture
from tests.waiting import wait

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"
PROJECTOR = {"width": 1280, "height": 720}
STEPS_PER_EPOCH = 8
LABEL_NOISE, GUESSING = 0.4, np.log(10)
PARTS = read_lecture()[1]

Seen = dict[str, Any]
"""What was measured while the lecture was given."""

CHECKS: dict[str, Callable[[Seen], bool]] = {
    # Two weights
    "SGD ends in the sharp valley; SAM, VaSSO and SAMAR leave it and end in the flat "
    "one.": lambda s: (
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
    "The line above the tiles says that SAMAR leads, also at an equal number of "
    "gradients.": lambda s: (
        s["race_story"].startswith("SAMAR leads by")
        and "At an equal number of gradients, SAMAR still leads" in s["race_story"]
    ),
    "Below the tiles: SGD gives at least eight of the ten wrong labels back, SAMAR at most "
    "three.": lambda s: s["given_back"]["SGD"] >= 8 and s["given_back"]["SAMAR"] <= 3,
    # λ by hand
    "Before you touch it λ moves by itself, and test accuracy is above 80 %.": lambda s: (
        len(set(s["lam"].lam(0, s["held"]))) > 10 and s["lam"].accuracies(0, s["held"])[-1] > 0.8
    ),
    "Held at 0, λ lets the largest eigenvalue grow to more than three times what it "
    "was.": lambda s: (
        s["sharp"][1] > 3 * s["sharp"][0] and not s["lam"].lam(s["held"] + 1, s["freed"]).any()
    ),
    "Test accuracy falls by more than five points.": lambda s: (
        s["lam"].accuracies(0, s["freed"])[-1] < s["lam"].accuracies(0, s["held"])[-1] - 0.05
    ),
    "Training accuracy rises: the network begins to memorize the wrong labels.": lambda s: (
        s["lam"].accuracies(0, s["freed"], "train")[-1]
        > s["lam"].accuracies(0, s["held"], "train")[-1] + 0.05
        and s["lam"].accuracies(0, s["freed"], "train")[-1] > 1 - LABEL_NOISE
    ),
    "Let go, λ rises by itself above 2.": lambda s: s["lam"].lam(s["freed"] + 1).max() > 2,
    "The largest eigenvalue falls to less than half, and test accuracy rises again by more than "
    "five points.": lambda s: (
        s["sharp"][2] < s["sharp"][1] / 2
        and s["lam"].accuracies(s["freed"] + 1).max()
        > s["lam"].accuracies(0, s["freed"])[-1] + 0.05
    ),
    # The landscape over time
    "At step 0 the loss of the run is near 2.3, as of guessing among ten classes.": lambda s: (
        s["first_loss"] == pytest.approx(GUESSING, abs=0.15)
    ),
    "In the race all four landscapes are the same at step 0.": lambda s: (
        len(s["first"]) == 4 and all(plane == s["first"][0] for plane in s["first"])
    ),
    "At the end the loss around SGD is the highest of the four, and around SAMAR the "
    "lowest.": lambda s: (
        [np.argmax(s["around"]), np.argmin(s["around"])] == [0, 3]  # in order of the race
    ),
    # Eigenvalues and the learning rate
    "At first the largest eigenvalue climbs near the bound 2/η, which is 100.": lambda s: (
        60 < max(s["rate"].eigenvalues(0, s["changed"])) < 160
        and s["bounds"][0] == pytest.approx(100)
    ),
    "With the new rate the bound falls to 10.": lambda s: s["bounds"][-1] == pytest.approx(10),
    "Two epochs later the largest eigenvalue is above its value before the change.": lambda s: (
        s["eigenvalues"][1] > 1.1 * s["eigenvalues"][0]
    ),
    "Test accuracy drops by more than three points for a moment.": lambda s: (
        s["rate"].accuracies(s["changed"] + 1).min()
        < s["rate"].accuracies(0, s["changed"])[-1] - 0.03
    ),
    "Twenty epochs later the largest eigenvalue is below the new bound of 10.": lambda s: (
        s["eigenvalues"][2] < 10
    ),
    "Test accuracy is above 95 % again.": lambda s: s["rate"].accuracies()[-1] > 0.95,
    # Collapse and return
    "Before you touch ρ, test accuracy is above 90 %.": lambda s: (
        s["collapse"].accuracies(0, s["raised"])[-1] > 0.9
    ),
    "Within ten epochs it falls to that of guessing, about 10 %, and the loss stays near "
    "2.3.": lambda s: (
        s["collapse"].accuracies(s["raised"], s["raised"] + 10 * STEPS_PER_EPOCH)[-1] < 0.15
        and s["fallen"]["loss"] == pytest.approx(GUESSING, abs=0.1)
    ),
    "λ climbs to its ceiling of 10.": lambda s: (
        s["collapse"].lam(s["raised"], s["lowered"]).max() == 10
    ),
    "The largest eigenvalue is below 1, and below all that this run showed before.": lambda s: (
        s["fallen"]["eigenvalue"] < 1
        and s["fallen"]["eigenvalue"] < min(s["collapse"].eigenvalues(0, s["raised"]))
    ),
    "The line above the tiles says that the network forgot everything.": lambda s: (
        "the network forgot everything" in s["warning"]
    ),
    "With ρ back at 0.2 nothing returns.": lambda s: (
        s["collapse"].accuracies(s["lowered"]).max() < 0.2
    ),
    "After you go back, a new run is above 90 % again within ten epochs.": lambda s: (
        s["branch"].accuracies(s["raised"] + 1, s["raised"] + 10 * STEPS_PER_EPOCH)[-1] > 0.9
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
    return parse_qs(urlsplit(page.url).query)["run"][0]


def step(page: Page) -> int:
    """Where the clock stands; the last step while it follows the run."""
    found = re.search(r"step ([\d,]+)", page.locator(".stage-timeline output").inner_text())
    return int(found[1].replace(",", "")) if found else 0


def heading(page: Page, tile: str) -> str:
    return page.locator(f".stage-tile-{tile} header output").inner_text()


def number(page: Page, tile: str) -> float:
    return float(heading(page, tile).split()[0])


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


def measure(page: Page, run: str) -> float:
    """Measure now; returns the largest eigenvalue."""
    since = step(page)
    page.keyboard.press("l")
    for _ in range(100):
        found = Told(run).eigenvalues(since)
        if found:
            return found[-1]
        page.wait_for_timeout(200)
    raise AssertionError(f"nothing was measured at step {since}")


def opened(lecture: Page, number: int) -> Page:
    """The tab that the link of a part opens."""
    with lecture.context.expect_page() as found:
        lecture.locator(f".st-key-lecture_{number} a[target=_blank]").first.click()
    found.value.locator(".samar-clock, .stage-tile-gap").first.wait_for()
    found.value.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    return found.value


def leave(page: Page) -> None:
    """Close a tab that nobody needs any more, where it would go on to draw."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.close()


def two_weights(page: Page, seen: Seen) -> None:
    story = page.locator(".st-key-playground_story")
    expect(story).to_contain_text("valley")
    clock = page.locator(".samar-clock-text")
    page.keyboard.press(" ")
    page.keyboard.press("End")
    expect(clock).to_have_text("step 150 of 150")
    seen["two_valleys"] = story.inner_text()
    titles = {
        "small_rho": "ρ too small",
        "large_step": "η above 2/curvature",
        "large_rho": "ρ too large",
    }
    for name, title in titles.items():
        before = story.inner_text()
        page.locator(".st-key-p_preset input").click()
        page.get_by_role("option", name=title, exact=True).click()
        expect(story).not_to_have_text(before)
        seen[name] = story.inner_text()


def a_race(page: Page, seen: Seen) -> None:
    race = start(page, "Race")
    link = page.url
    page.goto("about:blank")  # drawn all along it would take most of the time
    wait(Jobs(), race, lambda job: job.status == "finished", seconds=600)
    page.goto(link)
    expect_status(page, "Finished")
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


def lam_by_hand(page: Page, seen: Seen) -> None:
    run = start(page)
    hold = page.locator(".st-key-hold_now button").filter(has_text="0 (SGD)")
    marks = page.locator(".stage-marks")
    seen["held"] = pause(page, 20)
    seen["sharp"] = [measure(page, run)]
    hold.click()
    expect(marks).to_contain_text("λ held at 0")
    resume(page)
    seen["freed"] = pause(page, seen["held"] // STEPS_PER_EPOCH + 20)
    seen["sharp"].append(measure(page, run))
    hold.click()
    expect(marks).to_contain_text("λ free")
    resume(page)
    pause(page, seen["freed"] // STEPS_PER_EPOCH + 11)
    seen["sharp"].append(measure(page, run))
    page.keyboard.press("x")
    expect_status(page, "Stopped")
    seen["lam"] = Told(run)


def the_landscape(run: Page, race: Page, seen: Seen) -> None:
    run.bring_to_front()
    run.keyboard.press("Home")
    expect(run.locator(".stage-tile-landscape footer")).to_contain_text("step 0 ")
    seen["first_loss"] = number(run, "landscape")
    run.keyboard.press(" ")
    expect(run.get_by_label("Pause the replay")).to_be_visible()
    expect(run.locator(".stage-live")).to_have_class(re.compile("stage-on"))
    run.keyboard.press("r")
    expect(run.locator(".stage-timeline output")).to_contain_text(f"step {seen['freed']:,}")
    run.keyboard.press("t")

    race.bring_to_front()
    footer = race.locator(".stage-tile-landscape footer")
    race.keyboard.press("Home")
    expect(footer).to_contain_text("step 0 ")
    seen["first"] = shown_landscapes(race, unlike=None)
    race.keyboard.press("End")
    expect(footer).not_to_contain_text("step 0 ")
    seen["around"] = [np.mean(z) for z in shown_landscapes(race, unlike=seen["first"])]


def shown_landscapes(race: Page, unlike: list[list[float]] | None) -> list[list[float]]:
    """The heights that the squares of the race show, once they are drawn."""
    heights = """() => [...document.querySelectorAll(".stage-tile-landscape .js-plotly-plot")]
      .map(({ data: [{ z }] }) => z.flat())"""
    before: list[list[float]] | None = None
    for _ in range(50):
        now = race.evaluate(heights)
        if now == before and now != unlike:
            return now
        before = now
        race.wait_for_timeout(400)
    raise AssertionError("the landscapes do not come to rest")


def the_rate(page: Page, seen: Seen) -> None:
    run = start(page)
    seen["changed"] = pause(page, 25)
    seen["eigenvalues"] = [measure(page, run)]
    drag(page, "lr", 6, to="0.2")
    while step(page) < seen["changed"] + 2 * STEPS_PER_EPOCH:
        now = step(page)
        page.keyboard.press("n")
        expect(page.locator(".stage-timeline output")).not_to_contain_text(f"step {now:,}")
    seen["eigenvalues"].append(measure(page, run))
    resume(page)
    pause(page, seen["changed"] // STEPS_PER_EPOCH + 22)
    seen["eigenvalues"].append(measure(page, run))
    press(page, "Stop")
    expect_status(page, "Stopped")
    seen["rate"] = Told(run)
    seen["bounds"] = [2 / lr for _, _, lr in seen["rate"].curvature]


def drag(page: Page, setting: str, presses: int, to: str) -> None:
    """Move a slider of the stage by so many of its steps, and leave it."""
    box = page.locator(f".st-key-{setting}")
    slider = box.locator("input[type=range]")
    slider.focus()
    for _ in range(abs(presses)):
        slider.press("ArrowRight" if presses > 0 else "ArrowLeft")
    expect(box.get_by_text(to, exact=True).first).to_be_visible()
    expect(page.locator(".stage-mark").last).to_contain_text(to)
    page.locator(".stage-tile-gap header b").click()


def collapse(page: Page, seen: Seen) -> None:
    first = start(page)
    seen["raised"] = pause(page, 16)
    drag(page, "rho", 6, to="2")
    resume(page)
    story = page.locator(".stage-story")
    expect(story).to_contain_text("the network forgot everything")
    seen["warning"] = story.inner_text()
    wait_for_epoch(page, seen["raised"] // STEPS_PER_EPOCH + 11)
    seen["fallen"] = {"eigenvalue": measure(page, first)}
    seen["fallen"]["loss"] = number(page, "loss")
    drag(page, "rho", -6, to="0.2")
    seen["lowered"] = step(page)
    wait_for_epoch(page, seen["lowered"] // STEPS_PER_EPOCH + 21)
    story.get_by_role("button", name="Go back").click()
    page.wait_for_function("(old) => !location.href.includes(old)", arg=first)
    expect(page.locator(".stage-people")).to_contain_text("before the branch")
    wait_for_epoch(page, seen["raised"] // STEPS_PER_EPOCH + 11)
    press(page, "Stop")
    expect_status(page, "Stopped")
    seen["collapse"], seen["branch"] = Told(first), Told(run_of(page))


def test_every_line_under_see_is_checked() -> None:
    lines = [line for part in PARTS for line in part.columns.get("See", ())]
    assert list(CHECKS) == lines


def test_the_lecture_is_given_as_it_is_written(
    serve_anew: Callable[[Path], str],
    visit: Callable[..., Page],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAMAR_HOME", str(tmp_path))
    lecture = visit(f"{serve_anew(APP)}/lecture", viewport=PROJECTOR)
    seen: Seen = {}
    playground = opened(lecture, 1)
    two_weights(playground, seen)
    leave(playground)
    race = opened(lecture, 2)
    a_race(race, seen)
    run = opened(lecture, 3)
    lam_by_hand(run, seen)
    the_landscape(run, race, seen)
    leave(run)
    leave(race)
    rate = opened(lecture, 5)
    the_rate(rate, seen)
    leave(rate)
    collapse(opened(lecture, 6), seen)
    assert [line for line, holds in CHECKS.items() if not holds(seen)] == [], seen
