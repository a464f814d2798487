"""The stage of the Train page: seven tiles with data on one screen, one clock, one hand."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from samar.training.settings import TrainSettings
from tests.browser.webgl import ink, lose_context
from tests.inline import jobs_at

pytestmark = pytest.mark.browser
# Another name of the same file: a server, and a folder of runs, of its own.
APP = Path(__file__).parents[2] / "tests" / ".." / "app.py"
SCREENS = ({"width": 1280, "height": 720}, {"width": 1920, "height": 1080})
TILES = ("landscape", "lam", "ratio", "loss", "accuracy", "eigenvalues", "gap")
DIGITS = "/train?epochs=12&label_noise=0.4&probe_share=0.6&snapshots=12"

LAYOUT = """() => {
  const found = {};
  for (const box of document.querySelectorAll(".stage-tile, .stage-timeline")) {
    const { left, top, right, bottom } = box.getBoundingClientRect();
    if (right === left) continue; // not on this screen
    const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    const name = (box.className.match(/stage-tile-(\\w+)/) ?? [, "timeline"])[1];
    found[name] = { left, top, right, bottom, free: box.contains(hit) };
  }
  return { found, width: innerWidth, height: innerHeight };
}"""

DATA = """(tile) =>
  [...document.querySelectorAll(`.stage-tile-${tile} .js-plotly-plot`)].map(({ data }) =>
    data.flatMap((trace) => (trace.z ?? [trace.y]).flat()).filter(Number.isFinite).length)"""


@pytest.fixture
def open_page(serve: Callable[[Path], str], visit: Callable[..., Page]) -> Callable[..., Page]:
    def open_page(path: str, **options: object) -> Page:
        page = visit(serve(APP) + path if path.startswith("/") else path, **options)
        page.locator(".stage-tile-gap").wait_for()
        return page

    return open_page


def press(page: Page, label: str) -> None:
    page.locator(f".st-key-button_{label.lower()} button").first.click()


def start(page: Page, label: str = "Start") -> str:
    press(page, label)
    page.wait_for_url(re.compile("run="))
    return page.url


def expect_status(page: Page, words: str, seconds: float = 90) -> None:
    expect(page.locator(".stage-status")).to_contain_text(words, timeout=1000 * seconds)


def step(page: Page) -> int:
    found = re.search(r"step ([\d,]+)", page.locator(".stage-timeline output").inner_text())
    return int(found[1].replace(",", "")) if found else 0


def wait_for_step(page: Page, above: int) -> None:
    page.wait_for_function(
        """(above) => +document.querySelector(".stage-timeline output").textContent
             .replace(/.*step ([\\d,]+).*/, "$1").replaceAll(",", "") > above""",
        arg=above,
    )


def heading(page: Page, tile: str) -> str:
    return page.locator(f".stage-tile-{tile} header output").inner_text()


def expect_heading(page: Page, tile: str, words: str | re.Pattern[str]) -> None:
    output = page.locator(f".stage-tile-{tile} header output")
    expect(output).to_have_text(words)


def expect_data(page: Page, tiles: tuple[str, ...] = TILES, plots: int = 1) -> None:
    for tile in tiles:
        page.wait_for_function(
            f"([tile, plots]) => {{ const found = ({DATA})(tile);"
            "return found.length >= plots && found.every((count) => count > 0); }",
            arg=[tile, plots if tile == "landscape" else 1],
            timeout=90_000,
        )


def expect_on_one_screen(page: Page, tiles: tuple[str, ...] = TILES) -> None:
    """All tiles and the timeline lie within the window, beside each other, with nothing on top."""
    page.wait_for_timeout(300)
    layout = page.evaluate(LAYOUT)
    boxes: dict[str, Any] = layout["found"]
    assert set(tiles) | {"timeline"} <= set(boxes)
    for name, box in boxes.items():
        assert box["free"], f"something lies on {name}"
        assert box["left"] >= 0, name
        assert box["right"] <= layout["width"] + 1, name
        assert box["bottom"] <= layout["height"] + 1, name
        for other, beside in boxes.items():
            apart = (
                box["right"] <= beside["left"] + 1
                or beside["right"] <= box["left"] + 1
                or box["bottom"] <= beside["top"] + 1
                or beside["bottom"] <= box["top"] + 1
            )
            assert name == other or apart, f"{name} and {other} overlap"


def query(shared_data: Path, data: str) -> str:
    if data == "digits":
        return DIGITS.replace("=12&label", "=4&label")
    folder = quote(f"folder:{shared_data / 'cifar10'}")
    return f"/train?dataset={folder}&model=resnet20&images_per_class=13&epochs=1&batch_size=64"


@pytest.mark.shared
@pytest.mark.parametrize("data", ["digits", "cifar"])
def test_seven_tiles_hold_data_on_one_screen(
    open_page: Callable[..., Page], shared_data: Path, data: str
) -> None:
    page = open_page(query(shared_data, data), viewport=SCREENS[0])
    expect_on_one_screen(page)
    link = start(page)
    # Landscape and eigenvalue come before the first epoch is over.
    expect_data(page, ("landscape", "eigenvalues"))
    expect_on_one_screen(page)
    expect_status(page, "Finished")
    for screen in SCREENS:
        if screen != SCREENS[0]:
            page = open_page(link, viewport=screen)
        expect_data(page)
        expect_on_one_screen(page)
        for tile in TILES[1:]:
            assert re.search(r"\d", heading(page, tile)), tile
        expect(page.locator(".stage-tile:visible .stage-note:visible")).to_have_count(0)
    # At the start of the run both were there.
    page.keyboard.press("Home")
    expect(page.locator(".stage-tile-landscape footer")).to_contain_text("step 0 ")
    expect_heading(page, "eigenvalues", re.compile(r"^(≈ )?-?[\d.e-]+$"))


def test_one_clock_moves_everything_and_the_camera_stays(open_page: Callable[..., Page]) -> None:
    page = open_page(DIGITS, viewport=SCREENS[0])
    start(page)
    wait_for_step(page, 10)
    surface = page.locator(".stage-tile-landscape .js-plotly-plot")
    box = surface.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 80, middle[1] + 10, steps=4)
    page.mouse.up()
    camera = (
        "() => document.querySelector('.stage-tile-landscape .js-plotly-plot')"
        "._fullLayout.scene._scene.getCamera().eye"
    )
    turned = page.evaluate(camera)
    assert abs(turned["x"] - 1.25) > 0.02
    expect_status(page, "Finished")
    footer = page.locator(".stage-tile-landscape footer")
    expect(footer).to_contain_text("step 96 ")  # drawn a moment after the status is told
    at_end = {tile: heading(page, tile) for tile in TILES}
    last = footer.inner_text()
    drawn = ink(surface)
    assert drawn > 1000
    lose_context(surface)
    assert ink(surface) == pytest.approx(drawn, rel=0.05)
    assert page.evaluate(camera) == pytest.approx(turned, abs=1e-3)

    slider = page.get_by_label("Moment of the run")
    slider.fill("30")
    expect(footer).not_to_have_text(last)
    for tile in ("lam", "loss", "accuracy", "gap", "landscape"):
        expect(page.locator(f".stage-tile-{tile} header output")).not_to_have_text(at_end[tile])
    assert step(page) == 30
    assert page.evaluate(camera) == pytest.approx(turned, abs=1e-3)

    slider.fill("60")  # the whole run would take twelve seconds
    page.keyboard.press(" ")
    expect(page.get_by_label("Pause the replay")).to_be_visible()
    expect(page.locator(".stage-live")).to_have_class(re.compile("stage-on"))
    expect(footer).to_have_text(last)
    assert {tile: heading(page, tile) for tile in TILES} == at_end
    assert page.evaluate(camera) == pytest.approx(turned, abs=1e-3)

    # The keys that the page promises.
    page.keyboard.press("4")
    expect(page.locator(".stage-tile-lam")).to_be_hidden()
    expect(page.locator(".stage-tile-loss")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".stage-tile-lam")).to_be_visible()
    page.keyboard.press("t")
    page.wait_for_function(f"({camera})().z > 1.5")


def test_a_hand_holds_and_frees_lambda_measures_and_changes_the_optimizer(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(DIGITS.replace("=12&label", "=400&label"), viewport=SCREENS[0])
    start(page)
    wait_for_step(page, 5)
    hold = page.locator(".st-key-hold_now button")
    hold.filter(has_text="1 (SAM)").click()
    expect_heading(page, "lam", "1")
    hold.filter(has_text="0 (SGD)").click()
    expect_heading(page, "lam", "0")
    hold.filter(has_text="0 (SGD)").click()
    expect_heading(page, "lam", re.compile(r"^(?!0$)[\d.]+"))
    for words in ("λ held at 1", "λ held at 0", "λ free"):
        expect(page.locator(".stage-marks")).to_contain_text(words)
    expect(page.locator(".stage-mark")).to_have_count(3)  # one a click

    press(page, "Pause")
    expect_status(page, "Paused")
    now = step(page)
    page.locator(".stage-measure").click()
    footer = page.locator(".stage-tile-landscape footer")
    expect(footer).to_contain_text(f"step {now:,} ")
    press(page, "Resume")

    choice = page.locator(".st-key-optimizer input")
    choice.click()
    page.get_by_role("option", name="SGD", exact=True).click()
    expect(page.locator(".stage-marks")).to_contain_text("SGD")
    wait_for_step(page, step(page) + 3)
    expect(page.locator(".stage-story")).to_contain_text("SGD follows the plain gradient")
    press(page, "Stop")
    expect_status(page, "Stopped")


def test_what_is_lost_on_the_way_is_asked_for_again(
    serve: Callable[[Path], str], visit: Callable[..., Page]
) -> None:
    lost: list[bytes] = []
    asked: set[bytes] = set()
    before: set[bytes] = set()
    losing = False

    def connect(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(message: Any) -> None:
            # The first message of a feed, which brings everything. The page may begin several
            # by itself: each is lost until the stage asks.
            whole = b'"number":0' in message.replace(b" ", b"")
            if losing and whole and not asked - before:
                lost.append(message)
            else:
                socket.send(message)

        def answer(message: Any) -> None:
            asked.update(re.findall(rb'"resync","at":(\d+)', message))
            server.send(message)

        server.on_message(pass_on)
        socket.on_message(answer)

    page = visit("about:blank", viewport=SCREENS[0])
    page.route_web_socket(re.compile("_stcore/stream"), connect)
    page.goto(serve(APP) + DIGITS.replace("=12&label", "=400&label"))
    page.locator(".stage-tile-gap").wait_for()
    start(page)
    wait_for_step(page, 40)
    before |= asked
    losing = True
    page.locator(".st-key-hold_now button").filter(has_text="1 (SAM)").click()
    expect(page.locator(".stage-marks")).to_contain_text("λ held at 1")
    assert lost
    assert asked - before
    press(page, "Stop")
    expect_status(page, "Stopped")


def test_a_collapse_is_explained_and_the_way_back_is_one_button(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(
        "/train?epochs=400&curvature_every=0&film_every=0&snapshots=200", viewport=SCREENS[0]
    )
    first = start(page)
    page.wait_for_function(
        "() => parseFloat(document.querySelector('.stage-tile-accuracy output').textContent) > 80",
    )
    slider = page.locator(".st-key-rho input[type=range]")
    slider.focus()
    slider.press("End")
    story = page.locator(".stage-story")
    expect(story).to_contain_text("the network forgot everything")
    story.get_by_role("button").click()
    page.wait_for_function("(old) => !location.href.includes(old)", arg=first.split("run=")[1])
    expect(page.locator(".stage-people")).to_contain_text("before the branch")
    expect(page.locator(".st-key-rho")).to_contain_text("0.1")
    press(page, "Stop")
    expect_status(page, "Stopped")


def test_a_race_of_four_on_one_stage(open_page: Callable[..., Page]) -> None:
    quick = DIGITS.replace("=12&label", "=2&label").replace("=0.6", "=0.2")
    page = open_page(quick, viewport=SCREENS[0])
    start(page, "Race")
    expect(page.locator(".stage-people")).to_have_text(re.compile("SGD.*SAM.*VaSSO.*SAMAR", re.S))
    expect_status(page, "Finished", seconds=180)
    expect_data(page, plots=4)
    expect_on_one_screen(page)
    scales = page.evaluate(
        """() => [...document.querySelectorAll(".stage-tile-landscape .js-plotly-plot")]
             .map(({ data: [{ zmin, zmax }] }) => [zmin, zmax].join())"""
    )
    assert len(scales) == 4
    assert len(set(scales)) == 1
    expect(page.locator(".stage-story")).to_contain_text(re.compile(r"leads|are level|tie"))
    assert len(heading(page, "accuracy").split()) == 4
    strip = page.locator(".stage-strip")
    expect(strip.locator("figure")).to_have_count(10)
    for words in ("label", "SGD", "SAMAR"):
        expect(strip.locator("figure").first).to_contain_text(words)
    # At an equal number of gradients SGD has taken twice the steps of the others.
    page.get_by_role("button", name="View").click()
    page.get_by_role("radio", name="gradient evaluations").click()
    expect(page.locator(".stage-timeline output")).to_contain_text("gradients")


def test_before_a_room_the_stage_has_the_screen_and_large_type(
    open_page: Callable[..., Page], home_of: Callable[[Path], Path]
) -> None:
    few = {"epochs": 2, "label_noise": 0.4, "probe_share": 0.6, "snapshots": 2}
    with jobs_at(home_of(APP)) as jobs:
        run = jobs.submit(TrainSettings.parse(few))
    page = open_page(f"/train?run={run}&present=1", viewport=SCREENS[0])
    expect_status(page, "Finished")
    expect_data(page)
    expect_on_one_screen(page)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    small = page.evaluate(
        """() => [".samar-stage", ".st-key-stage_head", ".st-key-experiments"]
          .flatMap((place) => [...document.querySelectorAll(`${place} *`)])
          .filter((node) => [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
          .filter((node) => node.checkVisibility({ opacityProperty: true })
             && node.getBoundingClientRect().width > 1
             && node.getBoundingClientRect().top < innerHeight)
          .map((node) => [parseFloat(getComputedStyle(node).fontSize), node.textContent.trim()])
          .filter(([size]) => size < 17.9)"""
    )
    assert small == []
