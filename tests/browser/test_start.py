"""The start page in a real browser: it moves by itself, round and round, until it is paused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"
PARTS = ("sgd", "samar", "strength")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SCREENS = [{"viewport": {"width": w, "height": h}} for w, h in ((1280, 720), (1920, 1080))] + [
    PHONE
]
NO_WEBGL = (
    "const get = HTMLCanvasElement.prototype.getContext;"
    "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
    "  return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest); };"
)
MESH = "Array.from(plot._fullData[0].z)"
CURVE = "plot.querySelector('.js-line').getAttribute('d')"
CLOCK = ".samar-clock-text"


@pytest.fixture
def start(serve: Callable[[Path], str], visit: Callable[..., Page]) -> Callable[..., Page]:
    """``start(query, **options)`` opens the start page and waits until all of it is drawn."""

    def start(query: str = "", script: str = "", **options: Any) -> Page:
        page = visit("about:blank", **options)
        page.add_init_script(script)
        page.goto(f"{serve(APP)}/{query}")
        for part in PARTS:
            expect(page.locator(f".st-key-replay_{part} .main-svg").first).to_be_attached(
                timeout=60_000
            )
        return page

    return start


def shown(page: Page, part: str, expression: str) -> Any:
    plot = page.locator(f".st-key-replay_{part} .js-plotly-plot")
    return plot.evaluate(f"plot => {expression}")


def step(page: Page) -> int:
    found = re.search(r"step (\d+) of 480", page.locator(CLOCK).inner_text())
    assert found
    return int(found[1])


def wait_for_another(page: Page, before: int) -> None:
    page.wait_for_function(
        f"before => +document.querySelector('{CLOCK}').textContent.match(/\\d+/)[0] !== before",
        arg=before,
    )


def pause(page: Page) -> None:
    page.locator(".samar-clock-play").click()
    expect(page.locator(".samar-clock-play")).to_have_attribute("title", "Play")


@pytest.mark.parametrize("screen", SCREENS, ids=["1280", "1920", "phone"])
def test_the_first_screen_moves_and_rests_when_told(
    start: Callable[..., Page], screen: dict[str, Any]
) -> None:
    page = start(**screen)
    width, height = screen["viewport"]["width"], screen["viewport"]["height"]
    doors = [page.get_by_role("button", name=n) for n in ("Race them now", "Play with two weights")]
    charts = [page.locator(f".st-key-replay_{part} .js-plotly-plot") for part in PARTS]
    for place in [page.get_by_role("heading"), *doors, *charts, page.locator(".samar-clock")]:
        box = place.first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for chart in charts[:2]:
        box = chart.bounding_box()
        assert box is not None
        assert 0.8 < box["height"] / box["width"] < 1.25, "the landscapes are square"

    wait_for_another(page, step(page))
    pause(page)
    page.wait_for_timeout(500)
    at, before = step(page), [shown(page, "sgd", MESH), shown(page, "strength", CURVE)]
    page.wait_for_timeout(500)
    assert step(page) == at
    assert [shown(page, "sgd", MESH), shown(page, "strength", CURVE)] == before
    page.keyboard.press("Home" if at > 100 else "End")
    for part, expression, old in (("sgd", MESH, before[0]), ("strength", CURVE, before[1])):
        for _ in range(100):
            if shown(page, part, expression) != old:
                break
            page.wait_for_timeout(50)
        else:
            raise AssertionError(f"{part} stands still")


def test_it_begins_again_after_its_end_and_stands_still_out_of_sight(
    start: Callable[..., Page],
) -> None:
    page = start(viewport={"width": 1280, "height": 400})
    pause(page)
    page.get_by_label("Step", exact=True).fill("470")
    page.locator(".samar-clock-play").click()
    page.wait_for_function(f"+document.querySelector('{CLOCK}').textContent.match(/\\d+/)[0] < 400")
    expect(page.locator(".samar-clock-play")).to_have_attribute("title", "Pause")

    page.add_style_tag(content="[data-testid=stMainBlockContainer]::after"
                       "{content: ''; display: block; height: 2000px}")  # fmt: skip
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, main.scrollHeight)")
    page.wait_for_timeout(500)
    at = step(page)
    page.wait_for_timeout(1000)
    assert step(page) == at
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 0)")
    wait_for_another(page, at)


def test_the_landscapes_are_what_the_subtitles_say(start: Callable[..., Page]) -> None:
    page = start(reduced_motion="reduce", viewport={"width": 1280, "height": 720})
    clock = page.locator(CLOCK)
    expect(clock).to_have_text("step 480 of 480")
    expect(page.locator(".samar-clock-play")).to_have_attribute("title", "Play")
    page.wait_for_timeout(500)
    assert step(page) == 480, "who asks for reduced motion is not shown any"
    for part, share in (("sgd", 99), ("samar", 12)):
        chart = page.locator(f".st-key-replay_{part}")
        expect(chart).to_contain_text(f"wrong labels memorized: {share} %")
    assert max(shown(page, "sgd", MESH)) == 8
    assert max(shown(page, "samar", MESH)) < 7.5
    page.keyboard.press("Home")
    expect(clock).to_have_text("step 0 of 480")
    expect(page.locator(".st-key-replay_sgd")).to_contain_text("wrong labels memorized: 8 %")
    page.wait_for_function(
        "() => Math.max(...document.querySelector('.st-key-replay_sgd .js-plotly-plot')"
        "._fullData[0].z) < 2.5"
    )


def test_without_webgl_the_cuts_move(start: Callable[..., Page]) -> None:
    page = start(script=NO_WEBGL, **PHONE)
    curve = shown(page, "sgd", CURVE)
    for _ in range(100):
        if shown(page, "sgd", CURVE) != curve:
            break
        page.wait_for_timeout(50)
    else:
        raise AssertionError("the cut stands still")
    expect(page.locator(".samar-chart-note:not(:empty)")).to_have_count(0)


def test_presenting_the_doors_and_the_wheel(start: Callable[..., Page]) -> None:
    page = start("?present=1", viewport={"width": 1280, "height": 720})
    clock = page.locator(".samar-clock").bounding_box()
    assert clock is not None
    assert clock["y"] + clock["height"] <= 720
    page.keyboard.press(" ")
    expect(page.locator(".samar-clock-play")).to_have_attribute("title", "Play")
    eye = "plot._fullLayout.scene._scene.getCamera().eye.x"
    before = shown(page, "sgd", eye)
    page.locator(".st-key-replay_sgd .js-plotly-plot").hover()
    page.mouse.wheel(0, 300)
    page.wait_for_timeout(500)
    assert shown(page, "sgd", eye) == before, "the wheel scrolls the page"
    page.get_by_role("button", name="Play with two weights").click()
    page.wait_for_url(re.compile(r"/playground\?.*present=1"))
