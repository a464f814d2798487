"""The Landscape page in a real browser: first picture, progressive drawing, camera, two runs."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from samar.training.settings import TrainSettings
from tests.inline import jobs_at

pytestmark = pytest.mark.browser

# Another name of the same file: a server, and a folder of runs, of its own.
APP = Path(__file__).parents[2] / "pages" / ".." / "app.py"
SCREEN = {"width": 1280, "height": 720}
EYE = "p._fullLayout.scene._scene.getCamera().eye"
"""The camera as it is now, also where it is not stored yet."""


@pytest.fixture(scope="module")
def address(serve: Callable[[Path], str], home_of: Callable[[Path], Path]) -> str:
    """The page's address, over a store with two short runs."""
    with jobs_at(home_of(APP)) as jobs:
        for optimizer in ("sgd", "samar"):
            few = {"epochs": 4, "images_per_class": 10, "snapshots": 3, "device": "cpu"}
            jobs.submit(TrainSettings.parse({"optimizer": optimizer, **few}))
    return f"{serve(APP)}/landscape"


def look(page: Page, chart: str, expression: str) -> object:
    plot = page.locator(f".st-key-{chart} .samar-chart-plot")
    expect(plot.locator(".main-svg").first).to_be_attached(timeout=60_000)
    return plot.evaluate(f"p => {expression}")


def expect_look(page: Page, chart: str, expression: str, value: object) -> None:
    """Wait until the chart shows it: a text of the page is there before the picture is drawn."""
    for _ in range(100):
        if look(page, chart, expression) == value:
            return
        page.wait_for_timeout(300)
    assert look(page, chart, expression) == value


def test_from_the_first_picture_to_the_finest(address: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{address}?l_directions=pca&l_points=17", viewport=SCREEN)
    expect(page.get_by_text("First result: 9 × 9 points, 32 images.")).to_be_visible()
    playback = page.get_by_role("group", name="Playback")
    expect(playback).to_contain_text("snapshot 3 of 3")
    charts = [page.locator(f".st-key-{n} .samar-chart-plot") for n in ("surface_1", "contour_1")]
    for part in (*charts, playback):
        box = part.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= SCREEN["height"], "all on the first screen"
    page.get_by_role("button", name="One step back (←)").click()
    expect(playback).to_contain_text("snapshot 2 of 3")
    expect_look(page, "surface_1", "p._fullData[1].x.length", 3)

    charts[0].get_by_text("top", exact=True).click()
    page.wait_for_timeout(500)
    eye = look(page, "surface_1", EYE)
    assert isinstance(eye, dict)
    assert eye["z"] > 1.5
    page.locator(".st-key-l_images input").fill("300")
    compute = page.locator(".st-key-l_compute button").first
    compute.click()  # which commits what was typed
    coarse = re.compile(r"^(5 × 5|9 × 9) points, 300 images; refining")
    expect(page.get_by_text(coarse).first).to_be_visible(timeout=60_000)
    page.locator(".st-key-l_cancel button").dispatch_event("click")  # drawing keeps the mouse busy
    expect(compute).to_contain_text("Continue")
    expect(page.get_by_text("What was measured is kept")).to_be_visible()
    compute.click()
    expect(page.get_by_text("17 × 17 points, 300 images.")).to_be_visible()
    expect(page.get_by_text("measured on")).to_be_visible()
    expect_look(page, "contour_1", "p.data[0].text.length", 17)
    assert look(page, "surface_1", EYE) == pytest.approx(eye, abs=1e-3)
    with page.expect_download() as download:
        page.get_by_role("button", name="NPZ").click()
    assert download.value.suggested_filename.endswith(".npz")


def test_two_runs_share_scale_and_camera(address: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{address}?l_of=two&l_points=5&l_images=64")
    page.locator(".st-key-l_compute button").first.click()
    expect(page.get_by_text("measured on")).to_have_count(2, timeout=60_000)
    for expression in ("p._fullLayout.scene.zaxis.range", "[p.data[0].cmin, p.data[0].cmax]"):
        for _ in range(100):  # one may be drawn a moment after the other
            pair = [look(page, name, expression) for name in ("surface_1", "surface_2")]
            if pair[0] == pytest.approx(pair[1], rel=1e-9):
                break
            page.wait_for_timeout(100)
        assert pair[0] == pytest.approx(pair[1], rel=1e-9)
    before = look(page, "surface_2", EYE)
    page.locator(".st-key-surface_1").get_by_text("front", exact=True).click()
    page.wait_for_timeout(1000)
    assert look(page, "surface_2", EYE) != before
    assert look(page, "surface_2", EYE) == pytest.approx(look(page, "surface_1", EYE), abs=1e-3)
