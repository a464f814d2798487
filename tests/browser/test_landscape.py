"""The Landscape page in a real browser: progressive drawing, the camera, two runs at one scale."""

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
PLOT = ".st-key-{} .samar-chart-plot"
EYE = "p._fullLayout.scene._scene.getCamera().eye"
"""The camera as it is now, also where it is not stored yet."""


@pytest.fixture(scope="module")
def address(serve: Callable[[Path], str], home_of: Callable[[Path], Path]) -> str:
    """Of the page, over a store with two short runs."""
    with jobs_at(home_of(APP)) as jobs:
        for optimizer in ("sgd", "samar"):
            few = {"epochs": 4, "images_per_class": 10, "snapshots": 3, "device": "cpu"}
            jobs.submit(TrainSettings.parse({"optimizer": optimizer, **few}))
    return f"{serve(APP)}/landscape"


@pytest.fixture
def landscape(address: str, visit: Callable[..., Page]) -> Callable[..., Page]:
    """``landscape(query)`` opens the page."""

    def landscape(query: str, *, compute: bool = True, **options: object) -> Page:
        page = visit(f"{address}?{query}", **options)
        button = page.locator(".st-key-l_compute button").first
        expect(button).to_be_visible()
        if compute:
            button.click()
        return page

    return landscape


def look(page: Page, chart: str, expression: str) -> object:
    plot = page.locator(PLOT.format(chart))
    expect(plot.locator(".main-svg").first).to_be_attached()
    return plot.evaluate(f"p => {expression}")


def expect_look(page: Page, chart: str, expression: str, value: object) -> None:
    """Wait until the chart shows it: a text of the page is there before the picture is drawn."""
    for _ in range(100):
        if look(page, chart, expression) == value:
            return
        page.wait_for_timeout(300)
    assert look(page, chart, expression) == value


def expect_points(page: Page, points: int) -> None:
    whole = re.compile(rf"^{points} × {points} points, [\d,]+ images\.")
    expect(page.get_by_text(whole).first).to_be_visible(timeout=150_000)


def test_compute_takes_what_was_typed_just_now(
    landscape: Callable[..., Page], home_of: Callable[[Path], Path]
) -> None:
    page = landscape("l_directions=pca&l_dim=line&l_images=32&l_points=5", compute=False)
    images = page.locator(".st-key-l_images input")
    images.fill("48")
    page.locator(".st-key-l_compute button").first.click()  # which commits what was typed, and more
    page.wait_for_url(re.compile("job="))
    job_id = re.search(r"job=(\w+)", page.url)
    assert job_id is not None
    with jobs_at(home_of(APP)) as jobs:
        assert jobs.store.get(job_id[1]).settings.images == 48


def test_a_first_picture_comes_unasked_on_the_first_screen(
    landscape: Callable[..., Page],
) -> None:
    screen = {"width": 1280, "height": 720}
    page = landscape("l_directions=pca&l_dim=plane&l_images=128", compute=False, viewport=screen)
    expect(page.get_by_text("First result: 9 × 9 points, 32 images.")).to_be_visible()
    for chart in ("surface_1", "contour_1"):
        look(page, chart, "1")
        box = page.locator(PLOT.format(chart)).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= screen["height"]
        assert 0.75 < box["width"] / box["height"] < 1.25
    controls = page.get_by_role("group", name="Playback")
    expect(controls).to_contain_text("snapshot 3 of 3")
    box = controls.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= screen["height"]
    page.get_by_role("button", name="One step back (←)").click()
    expect(controls).to_contain_text("snapshot 2 of 3")
    points = page.locator(PLOT.format("contour_1") + " .scatterlayer .point")
    expect(points).to_have_count(3)
    expect_look(page, "surface_1", "p._fullData[1].x.length", 3)
    page.locator(".st-key-l_compute button").first.click()
    expect(page.get_by_text("measured on")).to_be_visible()
    expect(page.get_by_text("First result")).to_have_count(0)


def test_draws_progressively_cancels_goes_on_and_keeps_the_camera(
    landscape: Callable[..., Page],
) -> None:
    page = landscape("l_points=33")
    expect(page.locator(PLOT.format("surface_1") + " .main-svg").first).to_be_attached(
        timeout=60_000
    )
    page.locator(".st-key-l_cancel button").dispatch_event("click")  # drawing keeps the mouse busy
    button = page.locator(".st-key-l_compute button").first
    expect(button).to_contain_text("Continue")
    expect(page.get_by_text("What was measured is kept")).to_be_visible()
    coarse = int(look(page, "contour_1", "p.data[0].text.length"))
    assert coarse < 33, "the picture came before the finest grid"
    page.locator(PLOT.format("surface_1")).get_by_text("top", exact=True).click()
    page.wait_for_timeout(500)
    eye = look(page, "surface_1", EYE)
    assert eye["z"] > 1.5
    button.click()
    expect_points(page, 33)
    expect(page.locator(".st-key-l_cancel")).to_have_count(0)
    expect(page.get_by_text("measured on")).to_be_visible()
    expect_look(page, "contour_1", "p.data[0].text.length", 33)
    assert look(page, "surface_1", EYE) == pytest.approx(eye, abs=1e-3)
    with page.expect_download() as download:
        page.get_by_role("button", name="NPZ").click()
    assert download.value.suggested_filename.endswith(".npz")


def test_a_closed_tab_loses_nothing(
    landscape: Callable[..., Page], visit: Callable[..., Page]
) -> None:
    first = landscape("l_points=17&l_seed=5")
    first.wait_for_url(re.compile("job="))
    address = first.url
    first.context.close()
    second = visit(address)
    expect_points(second, 17)
    expect(second.get_by_text("measured on")).to_be_visible()
    expect(second.locator(".st-key-l_compute")).to_have_count(0)
    alone = visit(address.split("?")[0] + "?job=" + address.split("job=")[1].split("&")[0])
    expect_points(alone, 17)
    expect(alone.locator(".st-key-l_seed input")).to_have_value("5")


def test_two_runs_share_scale_and_camera(landscape: Callable[..., Page]) -> None:
    page = landscape("l_of=two&l_points=5&l_images=64", viewport={"width": 1280, "height": 1400})
    expect(page.locator(PLOT.format("surface_2") + " .main-svg").first).to_be_attached(
        timeout=60_000
    )
    expect(page.locator(".st-key-l_compute, .st-key-l_cancel")).to_have_count(0)
    for expression in ("p._fullLayout.scene.zaxis.range", "[p.data[0].cmin, p.data[0].cmax]"):
        for _ in range(100):  # one may be drawn a moment after the other
            pair = [look(page, name, expression) for name in ("surface_1", "surface_2")]
            if pair[0] == pytest.approx(pair[1], rel=1e-9):
                break
            page.wait_for_timeout(100)
        assert pair[0] == pytest.approx(pair[1], rel=1e-9)
    before = look(page, "surface_2", EYE)
    page.locator(PLOT.format("surface_1")).get_by_text("front", exact=True).click()
    page.wait_for_timeout(1000)
    assert look(page, "surface_2", EYE) != before
    assert look(page, "surface_2", EYE) == pytest.approx(look(page, "surface_1", EYE), abs=1e-3)
    names = look(page, "slices", "p.data.map(trace => trace.name)")
    assert ["SAMAR" in name for name in names] == [True, False]
    assert ["SGD" in name for name in names] == [False, True]
