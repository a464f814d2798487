"""What a lecturer does: the lesson of the start page opens, the remote turns the page."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"


def test_the_lessons_are_presented_by_keyboard(
    serve: Callable[[Path], str], visit: Callable[..., Page]
) -> None:
    page = visit(serve(APP) + "/", viewport={"width": 1280, "height": 900})
    expect(page.locator(".stage-hero canvas").first).to_be_visible()

    said: list[str] = []  # Streamlit tells the console alone of what fails as a chart is cleaned up
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    page.get_by_role("link", name="who memorizes?").click()
    expect(page.get_by_role("heading", name="4. Who memorizes?")).to_be_visible()
    expect(page.locator(".stage-hero")).to_have_count(0)
    assert said == []
    expect(page.locator(".st-key-lesson_memory .main-svg").first).to_be_visible()

    # A marked word explains itself to the keyboard.
    word = page.locator(".samar-term").first
    word.focus()
    expect(word.locator(".samar-tip")).to_be_visible()
    word.blur()

    size = "parseFloat(getComputedStyle(document.documentElement).fontSize)"
    before = page.evaluate(size)
    page.get_by_role("button", name="Present", exact=True).first.click()
    expect(page.get_by_role("button", name="Leave presenting")).to_be_visible()
    page.wait_for_function(f"{size} > {before}")
    expect(page.get_by_text("Teacher notes")).to_have_count(0)
    page.keyboard.press("PageDown")
    expect(page.get_by_role("heading", name="5. Curvature and step size")).to_be_visible()
    page.keyboard.press("PageUp")
    expect(page.get_by_role("heading", name="4. Who memorizes?")).to_be_visible()
    assert "present=1" in page.url
