"""The chart component in a real browser: what the reader did to a chart stays as its data move."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.webgl import ink, lose_context

pytestmark = pytest.mark.browser
DEMO = Path(__file__).parent / "apps" / "chart_app.py"
PLOT = ".st-key-{} .js-plotly-plot"


@pytest.fixture(scope="session")
def demo(serve: Callable[[Path], str]) -> str:
    return serve(DEMO)


def ticks(page: Page) -> int:
    return int(page.get_by_text(re.compile(r"^tick \d+$")).inner_text().split()[1])


def wait_ticks(page: Page, count: int) -> None:
    goal = ticks(page) + count
    page.wait_for_function(
        "goal => +document.body.innerText.match(/tick (\\d+)/)?.[1] >= goal",
        arg=goal,
    )


def look(page: Page, chart: str, expression: str) -> Any:
    """An expression of Plotly's full layout ``l`` and traces ``t``, once the chart is drawn."""
    expect(page.locator(f"{PLOT.format(chart)} .main-svg").first).to_be_attached()
    script = (
        f"plot => {{ const [l, t] = [plot._fullLayout, plot._fullData]; return {expression}; }}"
    )
    return page.locator(PLOT.format(chart)).evaluate(script)


def drag(page: Page, chart: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag between two points given as fractions of the chart's box, over several ticks."""
    page.locator(PLOT.format(chart)).scroll_into_view_if_needed()
    box = page.locator(PLOT.format(chart)).bounding_box()
    assert box is not None
    (x0, y0), (x1, y1) = (
        (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)
    )
    page.mouse.move(x0, y0)
    page.mouse.down()
    for part in (0.2, 0.5, 0.8, 1.0):
        page.mouse.move(x0 + part * (x1 - x0), y0 + part * (y1 - y0))
        page.wait_for_timeout(200)
    page.mouse.up()
    page.wait_for_timeout(300)


SMALL = {"width": 600, "height": 560}
EYE = "Object.values(l.scene._scene.getCamera().eye).map(x => +x.toFixed(4))"


def turned_and_closer(page: Page) -> Any:
    """Drag the surface and turn the wheel over it; where its camera then is."""
    start = look(page, "surface", EYE)
    for _ in range(3):  # a drag that a redraw overtakes turns nothing
        drag(page, "surface", (0.5, 0.5), (0.6, 0.4))
        turned = look(page, "surface", EYE)
        if turned != start:
            break
    assert turned != start
    for _ in range(40):
        page.mouse.wheel(0, -120)
        page.wait_for_timeout(100)
        closer = look(page, "surface", EYE)
        if closer != turned:  # plotly.js ignores the wheel for half a second after a redraw
            break
    assert closer != turned
    return closer


def test_the_camera_survives_data_reruns_and_a_moment_off_the_page(
    demo: str, visit: Callable[..., Page]
) -> None:
    """As when a rerun cuts off the fragment that was about to show the chart again."""
    page = visit(f"{demo}?surface=1&every=1", viewport=SMALL, color_scheme="light")
    plot = page.locator(PLOT.format("surface"))
    closer = turned_and_closer(page)
    page.get_by_role("button", name="Rerun").click()
    page.emulate_media(color_scheme="dark")
    wait_ticks(page, 3)
    assert look(page, "surface", EYE) == pytest.approx(closer, abs=1e-3)
    assert look(page, "surface", "l.font.color") == "#e6ebf0"
    frames = page.locator(PLOT.format("film")).evaluate("p => p._transitionData._frames.length")
    assert frames == 3
    image = page.locator(f"{PLOT.format('film')} .main-svg").first
    assert image.get_attribute("role") == "img"

    for chart in ("surface", "film"):
        page.locator(PLOT.format(chart)).evaluate("plot => (plot.before = true)")
    page.get_by_text("Show").click()
    page.wait_for_function("!document.querySelector('.js-plotly-plot')")
    page.keyboard.press("Space")
    assert look(page, "surface", EYE) == pytest.approx(closer, abs=1e-3)
    for chart in ("surface", "film"):
        assert page.locator(PLOT.format(chart)).evaluate("plot => plot.before")
    plot.scroll_into_view_if_needed()

    # A lost context is replaced, and the picture is there from where the reader looked.
    drawn = ink(plot)
    assert drawn > 1000
    lose_context(plot)
    assert ink(plot) == pytest.approx(drawn, rel=0.05)
    assert look(page, "surface", EYE) == pytest.approx(closer, abs=1e-3)
