"""The stage's component alone, in a browser without a server: what it makes of a message."""

import json
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

    def show(self, *runs: StageRun, due: dict[str, Any] | None = None, **words: str) -> None:
        """Send what is new of these runs, as Streamlit does."""
        data = {
            "message": self.feed.message(runs),
            "view": {"axis": "step", "smoothing": 0, "log": False, "unit": "steps"},
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
