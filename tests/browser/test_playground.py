"""The Playground in a real browser: it plays without the server, answers sliders, and is a link."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"
PICTURE = ".st-key-playground_2d .samar-chart-plot"
HEAD = (  # where the last trace of a name is drawn, in the picture's coordinates
    "(plot, name) => { const l = plot._fullLayout;"
    " const t = plot._fullData.findLast(trace => trace.name === name);"
    " const mark = plot.querySelector(`.trace${t.uid} .point`).getAttribute('transform');"
    " const [x, y] = mark.match(/-?[\\d.]+/g).map(Number);"
    " return [l.xaxis.p2d(x), l.yaxis.p2d(y)]; }"
)
PLACE = (
    "(plot, [x, y]) => { const l = plot._fullLayout, box = plot.getBoundingClientRect();"
    " return [box.left + l.xaxis._offset + l.xaxis.d2p(x),"
    " box.top + l.yaxis._offset + l.yaxis.d2p(y)]; }"
)


def head(page: Page, name: str) -> tuple[float, float]:
    x, y = page.locator(PICTURE).evaluate(HEAD, name)
    return x, y


def moved_from(page: Page, place: tuple[float, float]) -> tuple[float, float]:
    """Where SAMAR's point is once it has left a place; the picture follows the clock's text."""
    for _ in range(100):
        now = head(page, "SAMAR")
        if now != pytest.approx(place, abs=0.1):
            return now
        page.wait_for_timeout(50)
    raise AssertionError(f"the point is still at {place}")


def opened(visit: Callable[..., Page], url: str) -> Page:
    page = visit(url, reduced_motion="reduce", viewport={"width": 1280, "height": 900})
    expect(page.locator(".samar-clock-text")).to_be_visible()
    expect(page.locator(f"{PICTURE} .main-svg").first).to_be_attached()
    return page


def test_plays_steps_answers_sliders_and_is_restored_by_its_link(
    serve: Callable[[Path], str], visit: Callable[..., Page]
) -> None:
    page = opened(visit, f"{serve(APP)}/playground")
    clock = page.locator(".samar-clock-text")
    expect(page.locator(".samar-clock")).to_have_count(1)
    expect(clock).to_have_text("step 150 of 150")
    expect(page.locator(".stMain")).to_contain_text("SGD ended at the bottom of the sharp valley")
    ended = head(page, "SAMAR")
    assert ended[0] > 1

    sent: list[object] = []
    page.on("websocket", lambda socket: sent.append(socket))
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(clock).to_have_text("step 1 of 150")
    first = moved_from(page, ended)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.keyboard.press(" ")
    expect(clock).to_have_text(re.compile(r"step ([2-9]\d|1\d\d) of 150"))
    page.keyboard.press(" ")
    stopped = clock.inner_text()
    page.wait_for_timeout(300)
    assert clock.inner_text() == stopped, "the space key pauses"
    moved_from(page, first)
    assert page.locator(f"{PICTURE} .contourlayer path").count() > 10, "the ground stays"
    assert not requests
    assert not sent

    slider = page.locator(".st-key-p_rho input[type=range]")
    slider.focus()
    for _ in range(3):
        slider.press("ArrowLeft")
    expect(page).to_have_url(re.compile(r"p_rho=0\.67"))
    expect(page.locator(".st-key-playground_2d")).to_contain_text("ρ = 0.67")
    assert clock.inner_text() == stopped, "a slider does not move the time"

    start = page.locator(PICTURE).evaluate(PLACE, [-1.35, 0.3])
    goal = page.locator(PICTURE).evaluate(PLACE, [-1.0, -1.0])
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*goal, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"p_x=-(1|0\.99)&p_y=-(1|0\.99)"))

    again = opened(visit, page.url)
    expect(again.locator(".st-key-playground_2d")).to_contain_text("ρ = 0.67")
    assert head(again, "start") == pytest.approx((-1.0, -1.0), abs=0.03)
