"""What a person does with the app, in a real browser, with the network off."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def open_page(serve: Callable[[Path], str], visit: Callable[..., Page]) -> Callable[..., Page]:
    """``open_page("/train")`` in the app's server, or any full address, in a browser of its own."""

    def open_page(path: str, **options: object) -> Page:
        return visit(serve(APP) + path if path.startswith("/") else path, **options)

    return open_page


def status(page: Page) -> str:
    return page.locator(".stage-status").inner_text()


def wait_for_step(page: Page, above: int = 0, seconds: float = 60) -> int:
    """Wait until the status line shows a step beyond ``above`` and return it."""
    page.locator(".stage-status").wait_for()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = re.search(r"step ([\d,]+)", status(page))
        if found and (step := int(found[1].replace(",", ""))) > above:
            return step
        page.wait_for_timeout(100)
    raise AssertionError(f"no step beyond {above}: {status(page)}")


def press(page: Page, label: str) -> None:
    page.locator(f".st-key-button_{label.lower()} button").click()


def expect_status(page: Page, words: str) -> None:
    expect(page.locator(".stage-status")).to_contain_text(words)


def test_the_first_visitor_of_a_server_may_come_by_a_deep_link(
    serve_anew: Callable[[Path], str], visit: Callable[..., Page]
) -> None:
    page = visit(serve_anew(APP) + "/train?rho=0.07&seed=3&optimizer=sam")
    page.get_by_text("How to repeat this").click()
    code = page.get_by_test_id("stCode")
    expect(code).to_contain_text("--optimizer sam --rho 0.07 --seed 3")
    expect(page.get_by_text("Page not found")).to_have_count(0)


def test_start_watch_steer_leave_come_back_and_tidy_up(open_page: Callable[..., Page]) -> None:
    page = open_page("/train?preset=noisy_digits&epochs=1000")
    press(page, "Start")
    page.wait_for_url(re.compile(r"/train\?.*run="))
    wait_for_step(page)
    expect(page.locator(".stage-tile-lam .main-svg").first).to_be_visible()
    expect(page.locator(".stage-story")).to_contain_text("Ratio")

    # A slider moved in mid-run reaches the worker and is marked on the timeline.
    slider = page.locator(".st-key-rho input[type=range]")
    slider.focus()
    slider.press("ArrowRight")
    expect(page.locator(".stage-marks")).to_contain_text("ρ 0.3")

    press(page, "Pause")
    expect_status(page, "Paused")
    step = wait_for_step(page)
    press(page, "Step")
    assert wait_for_step(page, above=step) == step + 1

    # Closing the tab and coming back by the link finds the same run, and the slider where it was.
    link = page.url
    page.close()
    page = open_page(link)
    expect_status(page, "Paused")
    expect(page.locator(".st-key-rho")).to_contain_text("0.3")
    press(page, "Resume")
    wait_for_step(page, above=step + 10)

    # Another tab watches the same run; what one does, the other shows.
    other = open_page(link)
    wait_for_step(other, above=step + 10)
    press(other, "Stop")
    expect_status(page, "Stopped")
    expect_status(other, "Stopped")
    press(page, "Resume")
    wait_for_step(page, above=step + 20)
    press(page, "Stop")
    expect_status(page, "Stopped")

    # The table of runs: select, rename (never as markup), delete after a question.
    page.get_by_test_id("stTopNavSection").filter(has_text="Experiment").click()
    page.get_by_role("menuitem", name="Jobs").click()
    table = page.locator(".st-key-runs_table canvas").first
    table.wait_for()
    page.wait_for_timeout(1000)
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 14, box["y"] + 52)
    page.get_by_role("button", name="Rename").click()
    name = page.get_by_label("New name")
    name.fill("<script>alert(1)</script> *lecture*")
    name.press("Enter")
    page.get_by_role("button", name="Save").click()
    title = page.locator(".st-key-run_title")
    expect(title).to_contain_text("<script>alert(1)</script> *lecture*")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete", exact=False).first.click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("No runs yet.")).to_be_visible()


@pytest.mark.parametrize("path", ["/train", "/runs", "/about"])
def test_every_page_opens_on_a_phone(open_page: Callable[..., Page], path: str) -> None:
    page = open_page(path, viewport={"width": 390, "height": 844})
    main = page.get_by_test_id("stMain")
    expect(main.get_by_role("heading").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_bad_values_are_answered_in_a_sentence(open_page: Callable[..., Page]) -> None:
    page = open_page("/train?run=nothing")
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("There is no run 'nothing'")
    page = open_page("/train?model=vgg16-bn")
    page.get_by_text("How to repeat this").wait_for()
    press(page, "Start")
    expect(page.get_by_test_id("stAlert").first).to_contain_text("but digits has 8")
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("VGG"))
