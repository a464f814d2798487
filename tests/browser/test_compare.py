"""Jobs and Compare in a real browser: tag, pin, compare, take away, and import what was taken."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
NAME = "<script>alert(1)</script>"


def select_row(page: Page, row: int) -> None:
    box = page.locator(".st-key-runs_table canvas").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 14, box["y"] + 52 + 35 * row)


def test_compare_take_away_and_import(
    serve_anew: Callable[[Path], str],
    visit: Callable[..., Page],
    tmp_path: Path,
    recorded: Callable[..., Any],
) -> None:
    for optimizer in ("sgd", "samar"):
        for seed in (0, 1):
            name = NAME if (optimizer, seed) == ("samar", 1) else ""
            recorded(optimizer=optimizer, seed=seed, name=name)
    page = visit(f"{serve_anew(ROOT / 'app.py')}/runs", accept_downloads=True)

    page.locator(".st-key-runs_table canvas").first.wait_for()
    page.wait_for_timeout(1000)
    select_row(page, 0)
    expect(page.locator(".st-key-run_title")).to_contain_text(NAME)
    page.get_by_role("button", name="Download", exact=True).click()
    saved = {}
    for label, suffix in (("Everything (ZIP)", "zip"), ("Report (HTML)", "html")):
        with page.expect_download() as download:
            page.get_by_role("button", name=label).click()
        saved[suffix] = tmp_path / f"taken.{suffix}"
        download.value.save_as(saved[suffix])
    page.keyboard.press("Escape")
    assert zipfile.ZipFile(saved["zip"]).testzip() is None

    # The report opens without a server; the script in the name does not run.
    report = visit(saved["html"].as_uri(), offline=True)
    report.on("dialog", lambda dialog: pytest.fail("the name ran as a script"))
    expect(report.locator("h1")).to_contain_text(NAME)
    expect(report.locator(".stage-tile-lam canvas")).to_be_visible()

    page.get_by_text("Import a job").click()
    page.locator("input[type=file]").set_input_files(saved["zip"])
    expect(page.get_by_test_id("stAlert")).to_contain_text(f"Imported: {NAME}")

    # The run selected before is still selected, one row further down.
    title = page.locator(".st-key-run_title")
    page.wait_for_timeout(1000)
    for row in (2, 3, 4):
        select_row(page, row)
        expect(title).to_contain_text(f"{row} runs")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url(re.compile(r"/compare\?.*runs="))
    chart = page.locator(".st-key-compare_test_accuracy")
    expect(chart.locator(".main-svg").first).to_be_visible()
    expect(chart).to_contain_text("SGD · 2 seeds")
    # A link is enough to see the same again.
    other = visit(page.url)
    expect(other.locator(".st-key-compare_test_accuracy")).to_contain_text("SGD · 2 seeds")
    other.get_by_text("Settings and results").click()
    parallel = other.locator(".st-key-compare_parallel")
    parallel.scroll_into_view_if_needed()
    expect(parallel.locator(".main-svg").first).to_be_visible()
