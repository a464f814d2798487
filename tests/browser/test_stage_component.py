"""The stage's component alone, in a browser without a server: what it makes of a message."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from samar.charts.html.render import COMPONENTS, render
from samar.charts.html.report import report_html
from samar.charts.stage.feed import Feed, StageRun
from samar.charts.stage.tiles import tiles
from samar.charts.stage.words import people
from samar.jobs.job import Job
from samar.jobs.records import Event
from samar.jobs.store import Store
from samar.training.settings import TrainSettings
from tests.charts.test_stage import plane, run_of

pytestmark = pytest.mark.browser
HOST = "http://localhost/"
PAGE = """<!doctype html><link rel="stylesheet" href="stage.css"><div id="parent">{}</div>
<script type="module">
  import stage from "/stage.js";
  window.show = (text) => {{
    const parentElement = document.getElementById("parent");
    window.leave = stage({{ parentElement, data: JSON.parse(text), setTriggerValue: () => {{}} }});
  }};
</script>"""
DRAWN = "(tile) => document.querySelector(`.stage-tile-${tile} canvas`)?.traces"


class Stage:
    """A page with the component, and what Python knows of it."""

    def __init__(self, page: Page) -> None:
        self.page, self.feed = page, Feed()

    def show(
        self,
        *runs: StageRun,
        due: dict[str, Any] | None = None,
        **words: str,
    ) -> None:
        """Tell what is new of these runs, as the server does."""
        told = {"word": "Training", "status": "", "story": "", "people": people(runs, {})} | words
        data = {
            "numbers": "",
            "still": self.feed.message(runs)
            | {"spec": tiles(runs, due or {}), "words": told, "state": "", "job": None},
            "view": {"axis": "step", "smoothing": 0, "log": False, "unit": "steps"},
            "steer": None,
            "drawn": "",
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
            html = PAGE.format(render("stage.html.j2", classes=""))
            return route.fulfill(body=html, content_type="text/html; charset=utf-8")
        return route.fulfill(path=COMPONENTS / name)

    page = visit("about:blank", viewport={"width": 1280, "height": 720})
    page.route(f"{HOST}**", answer)
    page.goto(HOST)
    page.wait_for_function("() => window.show")
    return Stage(page)


def measured(step: int, edge: float) -> Event:
    detail = {"values": [10.0, 5.0, 2.0], "trace": 20.0, "lr": 0.1, "edge": edge}
    return Event(step, "curvature", detail, 0.0)


def test_what_messages_say_is_drawn_and_follows_the_clock(stage: Stage) -> None:
    """Two runs beside each other, of which one diverged."""
    lost = replace(plane(3), detail=plane(3).detail | {"loss": [[None] * 3] * 3})
    optimizers = {"SGD": (11.0, 12.0, 12.0), "SAM": (40.0, 30.0, 9.0)}
    runs = []
    for name, edges in optimizers.items():
        events = [measured(step, edge) for step, edge in zip((0, 10, 20), edges, strict=True)]
        settings = TrainSettings(optimizer=name.lower())
        run = run_of(30, 2, settings=settings, events=[*events, plane(0), lost])
        runs.append(replace(run, id=name, label=name))
    back = '<strong>It forgot.</strong><button data-branch="3">Go back</button>'
    stage.show(*runs, story=back)
    page = stage.page

    stage.wait_for("eigenvalues", "data.length === 4")
    lines = stage.traces("eigenvalues")[2:]
    np.testing.assert_equal([line["y"] for line in lines], [[11, 12, 12], [np.nan, np.nan, 9]])
    beyond = page.locator(".stage-tile-eigenvalues .stage-beyond")
    clock = page.get_by_label("Moment of the run")
    for step, words in ((12, "↑ edge 30"), (4, "↑ edge 40"), (25, "")):
        clock.fill(str(step))
        expect(beyond).to_have_text(words)
    # A plane that is lost is drawn as high as can be, and replaces none of the others' scale.
    page.wait_for_function(
        """() => [...document.querySelectorAll(".stage-tile-landscape canvas")]
             .every(({ plane }) => plane?.step === 3)"""
    )
    expect(page.locator(".stage-tile-landscape footer")).to_contain_text("step 3")

    page.locator(".stage-tile-gap header b").click()  # the slider has keys of its own

    # Keys, and a button that keeps its focus where the same is said again.
    for key, words in (("Home", "step 0"), ("ArrowRight", "step 10"), ("End", "step 30")):
        page.keyboard.press(key)
        expect(page.locator(".stage-timeline output")).to_have_text(words)
    button = page.get_by_role("button", name="Go back")
    button.focus()
    stage.show(*runs, story=back, status="step 12")
    expect(button).to_be_focused()
    expect(page.locator(".stage-status")).to_have_text("Training step 12")
    page.keyboard.press("4")
    expect(page.locator(".stage-tile:visible")).to_have_count(1)
    page.keyboard.press("Escape")

    # Streamlit may take the component off the page for a moment: a replay goes on.
    page.keyboard.press("Home")
    page.get_by_label("Play", exact=True).click()
    pause = page.get_by_label("Pause the replay")
    expect(pause).to_be_visible()
    page.evaluate(
        """(html) => {
            const anew = document.createElement("div");
            document.getElementById("parent").replaceWith(anew);
            window.leave();
            anew.id = "parent";
            anew.innerHTML = html;
        }""",
        render("stage.html.j2", classes=""),
    )
    expect(pause).to_have_count(0)
    stage.show(*runs)
    expect(pause).to_be_visible()


def test_a_report_opens_from_disk_with_the_stage(
    visit: Callable[..., Page], recorded: Callable[..., Job], tmp_path: Path
) -> None:
    run = recorded(optimizer="samar")
    for event in (plane(0), plane(8), measured(8, 40.0)):
        Store().records.note(run.key, event.step, event.kind, **event.detail)
    file = tmp_path / "run.html"
    file.write_text(report_html(Store(), [run]), encoding="utf-8")
    page = visit(file.as_uri(), viewport={"width": 1280, "height": 720})
    expect(page.locator(".stage-tile-lam header output")).to_have_text(re.compile(r"\d"))
    footer = page.locator(".stage-tile-landscape footer")
    expect(footer).to_contain_text("step 8")
    page.get_by_label("Moment of the run").fill("4")
    expect(footer).to_contain_text("between steps 0 and 8")
    z = page.evaluate("document.querySelector('.stage-tile-landscape canvas').plane.z")
    np.testing.assert_allclose(z, np.arange(9.0).reshape(3, 3) + 4)
