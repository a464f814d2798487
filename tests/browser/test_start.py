"""The start page in a real browser: it moves by itself, and its race opens on the stage."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
APP = Path(__file__).parents[2] / "app.py"
HERO = ".stage-hero .stage-tile-{} canvas"
PLANE = "(canvas) => canvas.plane.z"
LAYOUT = """() => {
  const found = {};
  for (const box of document.querySelectorAll(".stage-tile, .stage-timeline")) {
    const { left, top, right, bottom } = box.getBoundingClientRect();
    if (right === left) continue; // not on this screen
    const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    const name = (box.className.match(/stage-tile-(\\w+)/) ?? [, "timeline"])[1];
    found[name] = [left, top, right, bottom, box.contains(hit)];
  }
  return found;
}"""
DATA = """(tile) => {
  const drawn = [...document.querySelectorAll(`.stage-tile-${tile} canvas`)];
  const counts = drawn.map(({ traces, plane }) =>
    (plane?.z.flat() ?? traces?.flatMap(({ y }) => y) ?? []).filter(Number.isFinite).length);
  return counts.length && counts.every((count) => count > 0);
}"""


def step(page: Page) -> int:
    found = re.search(r"step (\d+)", page.locator(".stage-timeline output").inner_text())
    assert found
    return int(found[1])


def expect_inside(page: Page, boxes: dict[str, Any], width: int, height: int) -> None:
    for name, (left, top, right, bottom) in boxes.items():
        assert left >= 0, name
        assert top >= 0, name
        assert right <= width + 1, name
        assert bottom <= height + 1, name


def test_the_first_screen_moves_and_its_race_opens_on_the_stage(
    serve: Callable[[Path], str], visit: Callable[..., Page]
) -> None:
    width, height = 1280, 720
    page = visit(serve(APP), viewport={"width": width, "height": height})
    charts = [page.locator(HERO.format(tile)) for tile in ("landscape", "lam", "ratio")]
    for chart in charts:
        expect(chart.first).to_be_attached()
    doors = [page.get_by_role("button", name=n) for n in ("Race them now", "Play with two weights")]
    for place in [page.get_by_role("heading"), *doors, *charts, page.locator(".stage-timeline")]:
        box = place.first.bounding_box()
        assert box is not None
        corners = (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
        expect_inside(page, {str(place): corners}, width, height)

    page.wait_for_function(
        """(before) => +document.querySelector(".stage-timeline output").textContent
             .match(/\\d+/)[0] !== before""",
        arg=step(page),
    )
    assert not page.evaluate("window.Plotly"), "nothing has to be loaded before it moves"
    expect(charts[0]).to_have_count(2)
    page.locator(".stage-play").click()
    expect(page.locator(".stage-play")).to_have_attribute("aria-label", "Play")
    page.wait_for_timeout(500)
    at, before = step(page), charts[0].first.evaluate(PLANE)
    page.wait_for_timeout(500)
    assert (step(page), charts[0].first.evaluate(PLANE)) == (at, before)
    camera = "(canvas) => canvas.camera"
    eye = charts[0].first.evaluate(camera)
    charts[0].first.hover()
    page.mouse.wheel(0, 300)
    page.wait_for_timeout(300)
    assert charts[0].first.evaluate(camera) == eye, "the wheel scrolls the page"

    doors[0].click()
    page.wait_for_url(re.compile(r"/train\?.*run="))
    expect(page.locator(".stage-people")).to_have_text(re.compile("SGD.*SAMAR", re.S))
    for tile in ("landscape", "lam", "ratio", "loss", "accuracy", "eigenvalues", "gap"):
        page.wait_for_function(DATA, arg=tile, timeout=90_000)
    boxes = {name: tuple(box) for name, box in page.evaluate(LAYOUT).items()}
    assert len(boxes) >= 8
    assert all(free for *_, free in boxes.values()), "something lies on a tile"
    expect_inside(page, {name: box[:4] for name, box in boxes.items()}, width, height)
    page.locator(".steer-stop").click()
    expect(page.locator(".stage-status")).to_contain_text("Stopped")
