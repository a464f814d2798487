"""The chart component in a real browser: what the reader did to a chart stays as its data move."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.webgl import ink, lose_context

pytestmark = pytest.mark.browser
DEMO = Path(__file__).parent / "apps" / "chart_demo.py"
PLOT = ".st-key-{} .js-plotly-plot"


@pytest.fixture(scope="session")
def demo(serve: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Served from a copy, because plotly.js is put into a folder beside the app."""
    folder = tmp_path_factory.mktemp("app")
    return serve(Path(shutil.copy(DEMO, folder)))


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
COLORS = "[l.font.color, l.xaxis.gridcolor]"
RANGE = "l.xaxis.range.map(x => +x.toFixed(4))"
EYE = "Object.values(l.scene._scene.getCamera().eye).map(x => +x.toFixed(4))"


def test_linked_charts_follow_each_other(demo: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{demo}?every=0", viewport=SMALL)
    before = look(page, "second", RANGE)
    drag(page, "first", (0.3, 0.5), (0.6, 0.52))
    zoomed = look(page, "first", RANGE)
    assert before[0] < zoomed[0] < zoomed[1] < before[1]
    assert look(page, "second", RANGE) == zoomed

    for x in (200, 205):  # the first move after a drag only ends it
        page.locator(PLOT.format("first")).hover(position={"x": x, "y": 120})
    label = page.locator(f"{PLOT.format('second')} .hovertext")
    expect(label).not_to_have_count(0)
    page.mouse.move(1, 1)
    expect(label).to_have_count(0)

    page.locator(PLOT.format("second")).dblclick(position={"x": 150, "y": 120})
    page.wait_for_timeout(500)
    assert look(page, "first", RANGE) == before


def test_what_the_reader_did_survives_data_rerun_and_theme(
    demo: str, visit: Callable[..., Page]
) -> None:
    page = visit(demo, viewport=SMALL, color_scheme="light")
    look(page, "second", RANGE)
    drag(page, "first", (0.3, 0.5), (0.6, 0.52))
    zoomed = look(page, "first", RANGE)
    page.locator(".st-key-second .legendtoggle").first.click()
    page.wait_for_timeout(600)  # plotly waits for a double click
    assert look(page, "first", COLORS) == ["#1b2530", "#d3dae1"]
    points = look(page, "first", "t[0].x.length")

    page.get_by_role("button", name="Rerun").click()
    page.emulate_media(color_scheme="dark")
    for x in (200, 205):  # the first move after a drag only ends it
        page.locator(PLOT.format("first")).hover(position={"x": x, "y": 120})
    wait_ticks(page, 4)

    assert look(page, "first", "t[0].x.length") > points, "the data stopped moving"
    assert look(page, "first", COLORS) == ["#e6ebf0", "#343e4a"]
    for chart in ("first", "second"):  # a busy machine may be between two drawings
        for _ in range(50):
            if look(page, chart, RANGE) == zoomed:
                break
            page.wait_for_timeout(100)
        assert look(page, chart, RANGE) == zoomed
    assert look(page, "second", "t.map(x => x.visible)") == ["legendonly", True]
    assert page.locator(f"{PLOT.format('first')} .hovertext").count() > 0
    image = page.locator(f"{PLOT.format('first')} .main-svg").first
    assert image.get_attribute("role") == "img"
    assert image.get_attribute("aria-label") == "first rises."


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


def test_camera_survives_and_frames_arrive(demo: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{demo}?surface=1&every=1", viewport=SMALL)
    closer = turned_and_closer(page)
    page.get_by_role("button", name="Rerun").click()
    wait_ticks(page, 3)
    assert look(page, "surface", EYE) == pytest.approx(closer, abs=1e-3)
    frames = page.locator(PLOT.format("film")).evaluate("p => p._transitionData._frames.length")
    assert frames == 3


def test_what_the_reader_did_survives_a_moment_off_the_page(
    demo: str, visit: Callable[..., Page]
) -> None:
    """As when a rerun cuts off the fragment that was about to show the chart again."""
    page = visit(f"{demo}?surface=1&every=0", viewport=SMALL)
    closer = turned_and_closer(page)
    for chart in ("surface", "film"):
        page.locator(PLOT.format(chart)).evaluate("plot => (plot.before = true)")
    page.get_by_text("Show").click()
    page.wait_for_function("!document.querySelector('.js-plotly-plot')")
    page.keyboard.press("Space")
    assert look(page, "surface", EYE) == pytest.approx(closer, abs=1e-3)
    for chart in ("surface", "film"):
        assert page.locator(PLOT.format(chart)).evaluate("plot => plot.before")
    page.locator(PLOT.format("surface")).scroll_into_view_if_needed()
    assert ink(page.locator(PLOT.format("surface"))) > 1000


def test_a_lost_context_is_replaced(demo: str, visit: Callable[..., Page]) -> None:
    """Also a second time; the picture is there again, from where the reader looked."""
    page = visit(f"{demo}?surface=1&every=0", viewport=SMALL)
    closer = turned_and_closer(page)
    plot = page.locator(PLOT.format("surface"))
    drawn = ink(plot)
    assert drawn > 1000
    for _ in range(2):
        lose_context(plot)
        assert ink(plot) == pytest.approx(drawn, rel=0.05)
        assert look(page, "surface", EYE) == pytest.approx(closer, abs=1e-3)


def test_films_share_a_clock(demo: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{demo}?clock=1&every=0", viewport=SMALL)
    clock = page.locator(".samar-clock-text")
    expect(page.locator(".st-key-one .samar-clock")).to_have_count(1)
    expect(page.locator(".samar-clock")).to_have_count(1)
    expect(clock).to_have_text("snapshot 2 of 2")  # it played by itself

    def shown(step: int) -> None:
        for chart in ("one", "two"):
            page.wait_for_function(
                "([plot, y]) => document.querySelector(plot).data[0].y.join() === y",
                arg=[PLOT.format(chart), f"{step},{2 * step}"],
            )

    shown(2)
    for key, step in (("Home", 0), ("ArrowRight", 1), ("End", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        shown(step)
    page.get_by_role("button", name="Rerun").click()
    page.wait_for_timeout(500)
    shown(1)
    page.get_by_label("Step", exact=True).fill("2")
    shown(2)
    page.get_by_role("button", name="Back to the start (Home)").click()
    shown(0)
    page.get_by_text("Show").click()
    expect(page.locator(".samar-clock")).to_have_count(0)


def test_phone(demo: str, visit: Callable[..., Page]) -> None:
    page = visit(demo, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    assert look(page, "first", "l.dragmode") is False, "a finger must be able to scroll past"
    boxes = [page.locator(PLOT.format(chart)).bounding_box() for chart in ("first", "second")]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[1]["y"] > boxes[0]["y"] + 200, "charts stand one below the other"
    assert boxes[0]["width"] > 340
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_charts_come_and_go_without_a_trace(demo: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{demo}?every=0.2", viewport=SMALL)
    look(page, "second", "l")
    inspector = page.context.new_cdp_session(page)
    inspector.send("Performance.enable")

    def counts_without_charts() -> tuple[int, int, float]:
        page.get_by_text("Show").click()
        expect(page.locator(PLOT.format("second"))).to_have_count(0)
        page.wait_for_timeout(3500)  # what leaves for a moment only is kept for three seconds
        for _ in range(3):  # what finalizers let go of is collected in the next round
            page.wait_for_timeout(150)
            inspector.send("HeapProfiler.collectGarbage")
        metrics = inspector.send("Performance.getMetrics")["metrics"]
        page.get_by_text("Show").click()
        look(page, "second", "l")
        wait_ticks(page, 5)
        value = {metric["name"]: metric["value"] for metric in metrics}
        return value["Nodes"], value["JSEventListeners"], value["JSHeapUsedSize"] / 1e6

    counts_without_charts()
    nodes, listeners, megabytes = counts_without_charts()
    later = counts_without_charts()
    assert later[0] <= nodes + 20
    assert later[1] <= listeners + 10
    assert later[2] <= megabytes + 2


@pytest.mark.parametrize(
    ("query", "hinder", "sentence"),
    [
        ("?surface=1", "no webgl", "has no WebGL"),
        ("", "**/plotly-*.min.js", "plotly.js could not be loaded"),
        ("", "**/plotly_chart.js*", "script that draws charts could not be loaded"),
    ],
)
def test_what_cannot_be_drawn_says_so(
    demo: str, visit: Callable[..., Page], query: str, hinder: str, sentence: str
) -> None:
    page = visit("about:blank")
    if hinder == "no webgl":
        page.add_init_script(
            "const get = HTMLCanvasElement.prototype.getContext;"
            "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
            "  return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest); };"
        )
    else:
        page.route(hinder, lambda route: route.abort())
    page.goto(demo + query)
    expect(page.locator(".samar-chart-note").first).to_contain_text(sentence)
