"""Pages are left while they draw and play; whatever the components leave behind raises nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"
ROUND = ("", "lessons?lesson=1", "playground?p_view=in+3-D", "train", "playground")
BACK = """address => {
  history.pushState({}, "", "/" + address);
  window.dispatchEvent(new PopStateEvent("popstate"));
}"""
"""As with the browser's own buttons."""


def test_pages_are_left_in_the_middle(
    serve: Callable[[Path], str], visit: Callable[..., Page]
) -> None:
    page = visit(f"{serve(APP)}/playground")
    expect(page.locator(".samar-clock").first).to_be_visible()
    page.keyboard.press("Space")
    for wait in (30, 600):
        for address in ROUND:
            page.evaluate(BACK, address)
            page.wait_for_timeout(wait)
            page.keyboard.press("Space")
    expect(page.locator(".samar-clock").first).to_be_visible()
