"""The first part of the lecture: what it says one sees is what the playground says."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from samar.web.learn.lecture import read_lecture

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"
ALL = "SGD, SAM, VaSSO and SAMAR"
SEEN = {
    "SGD ends in the sharp valley; SAM, VaSSO and SAMAR leave it and end in the flat one.": (
        "",
        "SGD ended at the bottom of the sharp valley",
    ),
    "With ρ too small all four end in the sharp valley.": (
        "ρ too small",
        f"{ALL} ended at the bottom of the sharp valley",
    ),
    "With η above 2/curvature all four end in the flat valley.": (
        "η above 2/curvature",
        f"{ALL} ended at the bottom of the flat valley",
    ),
    "With ρ too large only SGD reaches the bottom; the others diverge.": (
        "ρ too large",
        "SAM, VaSSO and SAMAR diverged",
    ),
}
"""Every line under "See", with the preset that shows it and what the playground says of it."""


def test_two_weights_are_shown_as_it_is_written(
    serve: Callable[[Path], str], visit: Callable[..., Page]
) -> None:
    assert list(SEEN) == list(read_lecture()[1][0].columns["See"])
    lecture = visit(f"{serve(APP)}/lecture", viewport={"width": 1280, "height": 720})
    with lecture.context.expect_page() as opened:
        lecture.get_by_role("link", name="Open the playground").click()
    page = opened.value
    story, clock = page.locator(".st-key-playground_story"), page.locator(".samar-clock-text")
    expect(story).to_contain_text("valley")
    page.keyboard.press(" ")
    page.keyboard.press("End")
    expect(clock).to_have_text("step 150 of 150")
    for preset, words in SEEN.values():
        if preset:
            page.locator(".st-key-p_preset input").click()
            page.get_by_role("option", name=preset, exact=True).click()
        expect(story).to_contain_text(words)
