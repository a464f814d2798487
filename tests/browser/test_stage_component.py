"""The stage's component alone, in a browser without a server: what it makes of a message."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly
import pytest
from playwright.sync_api import Page, Route, expect

from samar.charts.html.render import COMPONENTS, render
from samar.charts.stage.feed import Feed, Mislabelled, StageRun
from samar.charts.stage.tiles import tiles
from samar.charts.stage.words import people
from samar.jobs.records import Event
from samar.training.settings import TrainSettings
from tests.charts.test_stage import plane, run_of

pytestmark = pytest.mark.browser
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
HOST = "http://localhost/"
PAGE = """<!doctype html><link rel="stylesheet" href="stage.css"><div id="parent">{}</div>
<script type="module">
  import stage from "/stage.js";
  window.show = (text) => {{
    const parentElement = document.getElementById("parent");
    window.leave = stage({{ parentElement, data: JSON.parse(text), setStateValue: () => {{}} }});
  }};
</script>"""
DRAWN = "(tile) => document.querySelector(`.stage-tile-${tile} .js-plotly-plot`)?.data"


class Stage:
    """A page with the component, and what Python knows of it."""

    def __init__(self, page: Page) -> None:
        self.page, self.feed = page, Feed("a")

    def show(
        self,
        *runs: StageRun,
        due: dict[str, Any] | None = None,
        axis: str = "step",
        **words: str,
    ) -> None:
        """Send what is new of these runs, as Streamlit does."""
        data = {
            "message": self.feed.message(runs),
            "view": {"axis": axis, "smoothing": 0, "log": False, "unit": "steps"},
            "spec": tiles(runs, due or {}),
            "words": {"word": "Training", "status": "", "story": "", "people": people(runs, {})}
            | words,
            "library": PLOTLY.name,
        }
        self.page.evaluate("(text) => window.show(text)", json.dumps(data))

    def wait_for(self, tile: str, condition: str) -> None:
        """Until the traces that a tile drew, ``data``, fulfil a condition."""
        self.page.wait_for_function(
            f"(tile) => {{ const data = ({DRAWN})(tile); return data && ({condition}); }}", arg=tile
        )

    def expect_heading(self, tile: str, words: str | re.Pattern[str]) -> None:
        """Wait for what stands beside a tile's title."""
        expect(self.page.locator(f".stage-tile-{tile} header output")).to_have_text(words)

    def expect_moment(self, words: str) -> None:
        """Wait for what the timeline says."""
        expect(self.page.locator(".stage-timeline output")).to_have_text(words)

    def traces(self, tile: str) -> Any:
        return self.page.evaluate(DRAWN, tile)


@pytest.fixture
def stage(visit: Callable[..., Page]) -> Stage:
    def answer(route: Route) -> None:
        name = route.request.url.partition("?")[0].removeprefix(HOST)
        if not name:
            html = PAGE.format(render("stage.html.j2"))
            return route.fulfill(body=html, content_type="text/html; charset=utf-8")
        return route.fulfill(path=PLOTLY if name == PLOTLY.name else COMPONENTS / name)

    page = visit("about:blank", viewport={"width": 1280, "height": 720})
    page.route(f"{HOST}**", answer)
    page.goto(HOST)
    page.wait_for_function("() => window.show")
    return Stage(page)


def named(name: str, run: StageRun) -> StageRun:
    return replace(run, id=name, label=name)


def test_a_diverged_network_leaves_the_stage_in_place(stage: Stage) -> None:
    seen = plane(3).landscape
    lost = replace(plane(3), landscape=replace(seen, loss=np.full((3, 3), np.nan)))
    stage.show(run_of(9, 1, planes=[plane(0), lost]))
    stage.wait_for("lam", "data.length")
    stage.wait_for("landscape", "data.length === 3")
    expect(stage.page.locator(".stage-tile-landscape output")).to_have_text("– here")
    top = "data[2].z[0] === Math.max(...data[0].z)"
    stage.wait_for("landscape", f"data[2].z[0] !== null && {top}")


def test_what_is_said_again_is_left_alone(stage: Stage) -> None:
    back = '<strong>It forgot.</strong><button data-branch="3">Go back</button>'
    stage.show(run_of(9), story=back, status="step 9")
    button = stage.page.get_by_role("button", name="Go back")
    button.focus()
    stage.page.evaluate(
        """() => { window.said = 0;
          const seen = new MutationObserver((changes) => (window.said += changes.length));
          for (const place of document.querySelectorAll(".samar-stage [role=status]"))
            seen.observe(place, { childList: true, characterData: true, subtree: true }); }"""
    )
    stage.show(run_of(12), story=back, status="step 12")
    expect(button).to_be_focused()
    expect(stage.page.locator(".stage-status")).to_have_text("Training step 12")
    assert stage.page.evaluate("() => window.said") == 0
    stage.show(run_of(12), word="Finished")
    expect(stage.page.locator(".samar-stage [role=status]")).to_have_text("Finished")
    expect(button).to_have_count(0)


def test_only_runs_with_the_same_wrong_labels_are_compared(stage: Stage) -> None:
    def run(name: str, given: list[int], answers: list[int]) -> StageRun:
        labels = Mislabelled(np.zeros((2, 1, 8, 8), np.uint8), given, [3, 4], list("abcde"))
        event = Event(0, "labels", {"answers": answers}, 0.0)
        return named(name, run_of(9, events=[event], mislabelled=labels))

    stage.show(run("one", [1, 2], [1, 2]), run("other", [2, 1], [2, 1]), run("two", [1, 2], [3, 2]))
    strip = stage.page.locator(".stage-strip")
    expect(strip).to_contain_text("2 wrongly labelled training images")
    expect(strip).to_contain_text("one gives 2 of 2 wrong labels back")
    expect(strip).to_contain_text("two gives 1 of 2 wrong labels back")
    expect(strip).to_contain_text("other has other wrong labels and is not shown here.")
    expect(strip).not_to_contain_text("other gives")
    assert strip.locator("figure").first.locator("span").all_inner_texts() == [
        "is d",
        "label b",
        "one b",
        "two d",
    ]


def measured(step: int, edge: float) -> Event:
    detail = {"values": [10.0, 5.0, 2.0], "trace": 20.0, "lr": 0.1, "edge": edge}
    return Event(step, "curvature", detail, 0.0)


def test_each_run_has_its_own_edge_of_stability_on_the_clock(stage: Stage) -> None:
    optimizers = {"SGD": (11.0, 12.0, 12.0), "SAM": (40.0, 30.0, 9.0)}
    runs = []
    for name, edges in optimizers.items():
        events = [measured(step, edge) for step, edge in zip((0, 10, 20), edges, strict=True)]
        settings = TrainSettings(optimizer=name.lower())
        runs.append(named(name, run_of(30, 2, settings=settings, events=events)))
    stage.show(*runs)
    stage.wait_for("eigenvalues", "data.length === 4")
    colors = [part["facts"]["color"] for part in Feed("b").message(runs)["members"]]
    lines = stage.traces("eigenvalues")[2:]
    assert [line["line"]["color"] for line in lines] == colors
    np.testing.assert_equal([line["y"] for line in lines], [[11, 12, 12], [np.nan, np.nan, 9]])
    labels = stage.page.locator(".stage-tile-eigenvalues .annotation-text")
    assert labels.all_text_contents() == ["edge SGD", "edge SAM"]
    beyond = stage.page.locator(".stage-tile-eigenvalues .stage-beyond")
    expect(beyond).to_be_empty()
    clock = stage.page.get_by_label("Moment of the run")
    for step, words in ((12, "↑ edge 30"), (4, "↑ edge 40"), (25, "")):
        clock.fill(str(step))
        expect(beyond).to_have_text(words)


def test_the_loss_of_a_branch_grows_before_its_epoch_ends(stage: Stage) -> None:
    ghost = replace(named("left", run_of(100, 5)), ghost=True)
    # A tile is drawn twice in any case: when it is built, and with the next message.
    for steps in (20, 23, 27, 30):
        stage.show(ghost, named("branch", run_of(steps, 2)))
        stage.page.wait_for_function(
            """(steps) => document.querySelector(".stage-tile-loss .js-plotly-plot")?.calcdata
                 ?.some((points) => points.length === steps)""",
            arg=steps,
        )


def test_a_sentence_of_a_worker_is_never_markup(stage: Stage) -> None:
    stage.show(run_of(9, 1), due={"curvature": {"reason": "<i>Put off.</i>"}})
    expect(stage.page.locator(".stage-tile-eigenvalues .stage-legend")).to_have_text(
        "<i>Put off.</i>"
    )


def test_a_replay_goes_on_where_the_component_is_put_back(stage: Stage) -> None:
    """Streamlit may take it off the page for a moment."""
    run = named("SGD", run_of(30, 2))
    stage.show(run)
    stage.wait_for("loss", "data.length")
    stage.page.get_by_label("Moment of the run").fill("0")
    stage.page.get_by_label("Play", exact=True).click()
    pause = stage.page.get_by_label("Pause the replay")
    expect(pause).to_be_visible()
    stage.page.evaluate(
        """(html) => {
            const anew = document.createElement("div");
            document.getElementById("parent").replaceWith(anew);
            window.leave();
            anew.id = "parent";
            anew.innerHTML = html;
        }""",
        render("stage.html.j2"),
    )
    expect(pause).to_have_count(0)
    stage.show(run)
    expect(pause).to_be_visible()


def test_keys_move_the_clock_while_the_mouse_rests_on_a_tile(stage: Stage) -> None:
    stage.show(run_of(300, 20))
    stage.wait_for("loss", "data.length")
    plots, page = stage.page.locator(".stage-tile-loss .stage-plots"), stage.page
    plots.hover()
    expect(page.locator(".stage-timeline output")).not_to_have_text("step 300")
    for key, moment in (("Home", 0), ("ArrowRight", 10), ("ArrowRight", 20), ("End", 300)):
        page.keyboard.press(key)
        stage.expect_moment(f"step {moment}")
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    box = plots.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 40)
    page.wait_for_timeout(300)
    page.keyboard.press("Space")
    assert 0 < float(page.get_by_label("Moment of the run").input_value()) < 200
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 41)
    expect(page.locator(".stage-timeline output")).to_have_text(re.compile(r"step 2[5-9]\d"))


def test_a_double_click_and_live_undo_a_zoom_and_follow_the_end(stage: Stage) -> None:
    stage.show(run_of(300, 20))
    stage.wait_for("loss", "data.length")
    page, live = stage.page, stage.page.locator(".stage-live")
    box = page.locator(".stage-tile-loss .stage-plots").bounding_box()
    assert box is not None
    x, y = box["x"], box["y"] + 40
    whole = "() => document.querySelector('.stage-tile-loss .js-plotly-plot').layout.xaxis.range"

    def zoom() -> None:
        page.mouse.move(x + 80, y)
        page.mouse.down()
        page.mouse.move(x + 130, y, steps=3)
        page.mouse.up()
        page.mouse.move(5, 5)
        page.wait_for_function(f"() => ({whole})()[0] > 0")

    zoom()
    page.mouse.dblclick(x + 100, y)
    page.mouse.move(5, 5)
    page.wait_for_function(f"() => ({whole})()[1] === 300")
    stage.expect_moment("step 300")
    expect(live).to_have_class(re.compile("stage-on"))
    for press in (live.click, lambda: page.keyboard.press("End")):
        zoom()
        press()
        page.wait_for_function(f"() => ({whole})()[1] === 300")
    page.mouse.dblclick(x + 100, y)  # without a zoom, two clicks
    expect(live).not_to_have_class(re.compile("stage-on"))


def test_an_enlarged_tile_survives_a_change_of_optimizer(stage: Stage) -> None:
    plain = run_of(30, 2, settings=TrainSettings(optimizer="sgd"))
    plain.steps["ratio"][:] = np.nan
    seen = stage.page.locator(".stage-tile:visible")
    stage.show(plain)
    stage.page.keyboard.press("4")
    expect(seen).to_have_count(1)
    stage.show(run_of(40, 3))
    expect(seen).to_have_count(1)
    expect(seen).to_have_class(re.compile("stage-tile-loss"))
    stage.page.keyboard.press("2")
    expect(seen).to_have_class(re.compile("stage-tile-lam"))
    stage.show(plain)  # which has no λ
    stage.wait_for("loss", "data.length")
    assert seen.count() > 4


def test_what_is_drawn_takes_the_colours_of_another_theme(stage: Stage) -> None:
    run = replace(run_of(30, 2), active=False)
    color = (
        "(name, value) => document.documentElement.style.setProperty(`--st-${name}-color`, value)"
    )
    ticks = "document.querySelector('.stage-tile-gap .xtick text')"

    def wear(shade: str) -> None:
        for name in ("text", "gray-text"):
            stage.page.evaluate(f"(value) => ({color})('{name}', value)", shade)
        stage.show(run)
        stage.page.wait_for_function(
            f"(shade) => {ticks} && getComputedStyle({ticks}).fill === shade", arg=shade
        )

    stage.show(run)
    for shade in ("rgb(10, 10, 10)", "rgb(240, 240, 240)", "rgb(10, 10, 10)"):
        wear(shade)


def of_length(count: int, epoch: int, cost: int = 2) -> StageRun:
    """A run whose k-th epoch ends with accuracy k %."""
    run = run_of(count, count // epoch, active=False)
    run.steps["grad_evals"] = cost * run.steps["step"]
    ends = epoch * np.arange(1.0, count // epoch + 1)
    run.epochs.update(step=ends, grad_evals=cost * ends, test_accuracy=ends / epoch / 100)
    return run


def test_arrows_stop_at_every_epoch_of_a_long_run_on_the_axis_of_gradients(stage: Stage) -> None:
    stage.show(of_length(5000, 391), axis="grad_evals")
    stage.page.keyboard.press("Home")
    for epoch in (1, 2, 3):
        stage.page.keyboard.press("ArrowRight")
        stage.expect_moment(f"{782 * epoch:,} steps · step {391 * epoch:,}")
        stage.expect_heading("accuracy", f"{epoch} %")


def test_arrows_stop_at_the_epochs_of_every_run(stage: Stage) -> None:
    runs = named("one", of_length(40, 20, 1)), named("two", of_length(60, 15, 2))
    stage.show(*runs, axis="grad_evals")
    clock = stage.page.get_by_label("Moment of the run")
    stage.page.keyboard.press("Home")
    for place in (20, 30, 40, 60, 90, 120):
        stage.page.keyboard.press("ArrowRight")
        expect(clock).to_have_value(str(place))
    # The timeline tells of the run that went furthest.
    stage.expect_moment("120 steps · step 60")


def test_a_heading_says_the_newest_value_and_not_the_mean_of_its_bucket(stage: Stage) -> None:
    run = run_of(2399)
    run.steps["lam"][:] = np.r_[np.full(2397, 1.0), 0, 0]
    stage.show(run)
    stage.expect_heading("lam", "0")


def test_a_heading_forgets_what_another_optimizer_had(stage: Stage) -> None:
    events = [
        Event(1201, "change", {"optimizer": "sgd"}, 0.0),
        Event(1801, "change", {"optimizer": "sam"}, 0.0),
    ]
    run = run_of(2400, events=events, active=False, settings=TrainSettings(optimizer="sam"))
    run.steps["lam"][1201:] = run.steps["ratio"][1201:] = np.nan
    run.steps["sharpness"][1201:1801] = np.nan
    run.steps["sharpness"][1801:] = np.where(np.arange(1801, 2400) == 1900, 0.5, np.nan)
    stage.page.set_viewport_size({"width": 1920, "height": 1200})  # there is room for sharpness
    stage.show(run)
    for tile, words in {"lam": "–", "ratio": "–", "sharpness": "0.5"}.items():
        stage.expect_heading(tile, words)  # SAM measures it at few steps
    clock = stage.page.get_by_label("Moment of the run")
    clock.fill("1600")
    for tile in ("lam", "ratio", "sharpness"):
        stage.expect_heading(tile, "–")
    clock.fill("1000")
    for tile in ("lam", "ratio", "sharpness"):
        stage.expect_heading(tile, re.compile(r"\d"))
