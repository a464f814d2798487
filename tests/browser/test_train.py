"""The Train page in a real browser: a run that is steered, left, joined again and branched."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from samar.jobs.records import CHANGE
from samar.jobs.store import Store

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"
PRESSES = 100
RUN = "/train?epochs=1000&label_noise=0.4&snapshots=200"
CAMERA = "() => document.querySelector('.stage-tile-landscape canvas').camera"


@pytest.fixture
def open_page(serve: Callable[[Path], str], visit: Callable[..., Page]) -> Callable[..., Page]:
    """``open_page("/train")`` in the app's server, or any full address, in a browser of its own."""

    def open_page(path: str) -> Page:
        url = serve(APP) + path if path.startswith("/") else path
        page = visit(url, viewport={"width": 1280, "height": 720})
        page.locator(".stage-tile-gap").wait_for()
        return page

    return open_page


def press(page: Page, label: str) -> None:
    name = {"resume": "pause"}.get(label.lower(), label.lower())
    page.locator(f".st-key-button_{name} button, .steer-{name}:enabled").first.click()


def expect_status(page: Page, words: str) -> None:
    expect(page.locator(".stage-status")).to_contain_text(words)


def step(page: Page) -> int:
    found = re.search(r"step ([\d,]+)", page.locator(".stage-timeline output").inner_text())
    return int(found[1].replace(",", "")) if found else 0


def wait_for_step(page: Page, above: int) -> None:
    page.wait_for_function(
        """(above) => +document.querySelector(".stage-timeline output")?.textContent
             .replace(/.*step ([\\d,]+).*/, "$1").replaceAll(",", "") > above""",
        arg=above,
    )


def expect_heading(page: Page, tile: str, words: str | re.Pattern[str]) -> None:
    expect(page.locator(f".stage-tile-{tile} header output")).to_have_text(words)


def turn_the_surface(page: Page) -> float:
    """Drag it; how far it is turned then."""
    box = page.locator(".stage-tile-landscape canvas").bounding_box()
    assert box is not None
    before = page.evaluate(CAMERA)["turn"]
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y + 10, steps=4)
    page.mouse.up()
    page.wait_for_function(f"(before) => ({CAMERA})().turn !== before", arg=before)
    before, now = None, page.evaluate(CAMERA)["turn"]
    while before != now:
        page.wait_for_timeout(300)
        before, now = now, page.evaluate(CAMERA)["turn"]
    return float(now)


def test_a_run_is_steered_left_joined_again_and_branched(open_page: Callable[..., Page]) -> None:
    page = open_page(RUN)
    press(page, "Start")
    page.wait_for_url(re.compile("run="))
    link = page.url
    wait_for_step(page, 5)
    hold = page.locator(".steer-lam_held button")
    marks = page.locator(".stage-marks")
    for button, words, heading in (
        ("1 (SAM)", "λ held at 1", "1"),
        ("0 (SGD)", "λ held at 0", "0"),
        ("0 (SGD)", "λ free", re.compile(r"^(?!0$)[\d.]+")),
    ):
        hold.filter(has_text=button).click()
        expect(marks).to_contain_text(words)
        expect_heading(page, "lam", heading)
    slider = page.locator(".steer-rho input[type=range]")
    slider.focus()
    slider.press("ArrowRight")
    expect(marks).to_contain_text("ρ 0.15")

    press(page, "Pause")
    expect_status(page, "Paused")
    turned = turn_the_surface(page)
    now = step(page)
    press(page, "Step")
    wait_for_step(page, now)
    assert step(page) == now + 1
    page.locator(".stage-measure").click()
    footer = page.locator(".stage-tile-landscape footer")
    expect(footer).to_contain_text(f"step {now + 1:,} ")
    assert page.evaluate(CAMERA)["turn"] == pytest.approx(turned, abs=1e-3)
    page.keyboard.press("Home")
    expect(footer).to_contain_text("step 0 ")
    assert page.evaluate(CAMERA)["turn"] == pytest.approx(turned, abs=1e-3)
    page.close()

    # By the link the same run is found, and the slider where it was.
    page = open_page(link)
    expect_status(page, "Paused")
    expect(page.locator(".steer-rho")).to_contain_text("0.15")
    press(page, "Resume")
    wait_for_step(page, now + 10)
    other = open_page(link)
    wait_for_step(other, now + 10)
    press(other, "Stop")
    expect_status(page, "Stopped")
    expect_status(other, "Stopped")
    other.close()

    page.keyboard.press("Home")
    page.get_by_label("Moment of the run").fill(str(now))
    page.locator(".stage-branch").click()
    page.wait_for_function("(old) => !location.href.includes(old)", arg=link.split("run=")[1])
    expect(page.locator(".stage-people")).to_contain_text("before the branch")
    press(page, "Stop")
    expect_status(page, "Stopped")


def test_of_quick_presses_none_is_lost_and_none_is_late(
    open_page: Callable[..., Page], home_of: Callable[[Path], Path]
) -> None:
    """While the page draws itself again and again, for every edit makes it out of date."""
    page = open_page(RUN)
    press(page, "Start")
    page.wait_for_url(re.compile("run="))
    wait_for_step(page, 5)
    page.evaluate(
        """async (presses) => {
          for (let press = 0; press < presses; press++) {
            document.querySelectorAll(".steer-lam_held button")[press % 2].click();
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        }""",
        PRESSES,
    )
    store = Store(f"sqlite:///{home_of(APP) / 'samar.db'}")
    run = store.all("train")[0]
    expect(page.locator(".steer-word")).to_contain_text("obeyed at step")
    press(page, "Stop")
    expect_status(page, "Stopped")
    orders = [order for order in store.orders.after(0, run.key) if order.command == CHANGE]
    changes = [event for event in store.records.events(run.key) if event.kind == CHANGE]
    for made in (orders, changes):
        assert [each.detail["lam_held"] for each in made] == [0, 1] * (PRESSES // 2)
