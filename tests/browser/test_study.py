"""The Study page in a real browser: a cold link, another setting's chart, the table as a file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]


def test_read_the_study_and_take_the_table_away(
    serve: Callable[[Path], str], visit: Callable[..., Page]
) -> None:
    page = visit(f"{serve(ROOT / 'app.py')}/study")
    expect(page.get_by_role("heading", name="Was the goal met?")).to_be_visible()
    chart = page.locator(".st-key-study_chart_arms")
    chart.scroll_into_view_if_needed()
    expect(chart.locator(".main-svg").first).to_be_visible()
    expect(chart).to_contain_text("SAM, ρ tuned")
    drawn = """() => JSON.stringify(document.querySelector(
        ".st-key-study_chart_arms .js-plotly-plot").data.map(({ x }) => [...x]))"""
    before = page.evaluate(drawn)
    choice = page.locator(".st-key-study_setting")
    choice.get_by_text("Digits, 20 % wrong labels", exact=True).click()
    page.wait_for_function(f"(before) => ({drawn})() !== before", arg=before)
    expect(chart).to_contain_text("SAMAR, defaults")
    with page.expect_download() as download:
        page.locator(".st-key-study_csv button").click()
    shipped = (ROOT / "assets" / "study" / "results.csv").read_text(encoding="utf-8")
    assert download.value.path().read_text(encoding="utf-8") == shipped
