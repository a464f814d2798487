"""What a person does with the app, in a real browser, with the network off."""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def wait_for_step(page: Page, above: int = 0, seconds: float = 60) -> int:
    """Wait until the status line shows a step beyond ``above`` and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = re.search(r"step ([\d,]+)", page.locator(".st-key-status").inner_text())
        if found and (step := int(found[1].replace(",", ""))) > above:
            return step
        page.wait_for_timeout(100)
    raise AssertionError(f"no step beyond {above}: {page.locator('.st-key-status').inner_text()}")


def press(page: Page, label: str) -> None:
    page.locator(".st-key-run_buttons").get_by_role("button", name=label, exact=True).click()


def expect_status(page: Page, status: str) -> None:
    expect(page.locator(".st-key-status")).to_contain_text(status, timeout=30_000)


def test_start_watch_steer_leave_and_come_back(open_page: Callable[..., Page]) -> None:
    page = open_page("/")
    page.get_by_role("button", name="Train now").click()
    page.wait_for_url(re.compile(r"/train\?.*run="))
    wait_for_step(page)
    expect(page.locator(".st-key-panel_lam .main-svg").first).to_be_visible()
    expect(page.locator(".st-key-narration")).to_contain_text("λ", timeout=20_000)

    # A slider moved in mid-run reaches the worker and is marked in the charts.
    slider = page.locator(".st-key-rho input[type=range]")
    slider.focus()
    slider.press("ArrowRight")
    expect(page.locator(".st-key-panel_lam")).to_contain_text("rho", timeout=15_000)
    rho = re.search(r"rho=([\d.]+)", page.url)
    assert rho, page.url

    press(page, "Pause")
    expect_status(page, "Paused")
    step = wait_for_step(page)
    press(page, "Step")
    assert wait_for_step(page, above=step) == step + 1

    # Closing the tab and coming back by the link finds the same run and the same settings.
    link = page.url
    page.close()
    page = open_page(link)
    expect_status(page, "Paused")
    assert f"rho={rho[1]}" in page.url
    press(page, "Resume")
    wait_for_step(page, above=step + 10)

    # Another tab watches the same run.
    other = open_page(link)
    wait_for_step(other, above=step + 10)
    press(other, "Stop")
    expect_status(page, "Stopped")
    expect_status(other, "Stopped")


LINK = "/train?rho=0.07&seed=3&optimizer=sam"


@pytest.mark.parametrize("path", ["/train", "/runs", "/about", LINK])
def test_cold_deep_links(open_page: Callable[..., Page], path: str) -> None:
    page = open_page(path)
    expect(page.get_by_test_id("stMain").get_by_role("heading").first).to_be_visible(timeout=20_000)
    if "rho" in path:
        page.get_by_text("How to repeat this").click()
        code = page.get_by_test_id("stCode")
        expect(code).to_contain_text("--optimizer sam --rho 0.07 --seed 3", timeout=10_000)


def test_bad_values_are_answered_in_a_sentence(open_page: Callable[..., Page]) -> None:
    page = open_page("/train?run=nothing")
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("There is no run 'nothing'", timeout=20_000)
    page = open_page("/train?model=vgg16-bn")
    press(page, "Start")
    alert = page.get_by_test_id("stAlert")
    expect(alert.first).to_contain_text("needs images of at least 32 pixels, but digits has 8")
    expect(page.locator(".st-key-model")).to_contain_text("VGG")


def test_runs_page_opens_renames_and_deletes(
    open_page: Callable[..., Page], finished_run: str
) -> None:
    page = open_page("/runs")
    table = page.locator(".st-key-runs_table canvas").first
    expect(table).to_be_visible(timeout=20_000)
    box = table.bounding_box()
    assert box
    page.mouse.click(box["x"] + 12, box["y"] + 52)
    page.get_by_role("button", name="Rename").click()
    name = page.get_by_label("New name")
    name.fill("<script>alert(1)</script> lecture")
    name.press("Enter")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".st-key-run_title")).to_contain_text("<script>alert(1)</script> lecture")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("No runs yet.")).to_be_visible(timeout=10_000)
