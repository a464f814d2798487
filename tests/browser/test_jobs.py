"""The Jobs page in a real browser: the table on a canvas, renaming, deleting after a question."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from samar.training.settings import TrainSettings
from tests.inline import jobs_at

pytestmark = pytest.mark.browser
# Another name of the same file: a server, and a folder of runs, of its own.
APP = Path(__file__).parents[2] / "tests" / ".." / "app.py"


def test_a_run_is_selected_renamed_and_deleted(
    serve: Callable[[Path], str], visit: Callable[..., Page], home_of: Callable[[Path], Path]
) -> None:
    with jobs_at(home_of(APP)) as jobs:
        jobs.submit(TrainSettings(epochs=1, images_per_class=2, optimizer="sgd"))
    page = visit(f"{serve(APP)}/runs", viewport={"width": 1280, "height": 720})
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
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Delete", exact=False).first.click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("No runs yet.")).to_be_visible()
