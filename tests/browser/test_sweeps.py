"""A sweep from a link to its results, in a real browser with real runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pressing import press

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"
LINK = (
    "/sweeps?epochs=1&images_per_class=10&s_seeds=1&s_in_optimizer=sgd&s_in_optimizer=sam"
    "&s_in_rho=0.1,0.2"
)


def test_a_link_is_started_paused_resumed_and_read(
    serve: Callable[[Path], str], visit: Callable[..., Page]
) -> None:
    page = visit(serve(APP) + LINK)
    expect(page.get_by_text("3 runs")).to_be_visible()
    page.locator(".st-key-sweep_start_button button").click()
    status = page.locator(".st-key-sweep_status")
    expect(status).to_contain_text("running")
    address = page.url
    assert "sweep=" in address
    pause = page.get_by_role("button", name="Pause")
    press(pause, lambda: expect(status).to_contain_text("paused", timeout=10_000))
    resume = page.locator(".st-key-sweep_resume button")
    press(resume, lambda: expect(status).not_to_contain_text("paused", timeout=10_000))
    expect(status).to_contain_text("finished · 3 of 3 runs", timeout=120_000)
    expect(page.get_by_text("Best by validation:")).to_be_visible()
    cells = page.locator(".st-key-sweep_heat_map .heatmaplayer text")
    expect(cells).to_have_count(4)  # ρ has no effect on SGD: it fills both places of its row
    again = visit(address, viewport={"width": 390, "height": 800})
    expect(again.locator(".st-key-sweep_status")).to_contain_text("finished")
    expect(again.get_by_text("Each optimizer at its best")).to_be_visible()
    assert again.evaluate("document.documentElement.scrollWidth") <= 390
