"""Helpers for tests of the pages that measure."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.testing.v1 import AppTest

from samar.jobs.engine import worker
from samar.jobs.job import Job
from samar.jobs.store import Store

APP = Path(__file__).parents[2] / "samar/web/main.py"
FEW = {
    "landscape": {"l_points": "5", "l_images": "32"},
    "curvature": {"curvature_top": "2", "curvature_images": "32", "curvature_tol": "0.05"},
    "connectivity": {
        **{"c_points": "5", "c_images": "20", "c_steps": "3", "c_plane": "5 × 5"},
        **{"c_align": "none"},
    },
}
"""What each page is asked for, to be measured in a moment and without a first result."""


@cache
def _components() -> Any:
    """The app's components, once for all sessions as in a server: looking for them is slow."""
    return BidiComponentManager()


def open_page(path: str, **query: str) -> AppTest:
    """A page in a new session, as it comes by a link."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    app._bidi_component_manager = _components()
    app.query_params.update(query)
    app.switch_page(path).run()
    assert not app.exception
    return app


def finish(page: AppTest | None = None) -> None:
    """Do what is queued, in this process, and draw the page anew."""
    store = Store()
    while (job := store.claim_next("short", 1)) is not None:
        worker.run(store, job)
    if page is not None:
        page.run()
        assert not page.exception


def press(page: AppTest, key: str) -> AppTest:
    """Press a button of the page."""
    page.button(key=key).click().run()
    assert not page.exception
    assert [error.value for error in page.error] == []
    return page


def has(page: AppTest, key: str) -> bool:
    """Whether there is such a button or control."""
    widgets = (page.button, page.toggle, page.selectbox, page.number_input, page.select_slider)
    return any(widget.key == key for kind in widgets for widget in kind)


def words(page: AppTest) -> str:
    """Everything the page says."""
    assert not page.exception
    boxes = (page.caption, page.markdown, page.info, page.warning, page.error, page.code)
    return " ".join(element.value for box in boxes for element in box).replace("\\", "")


def charts(page: AppTest) -> list[dict[str, Any]]:
    """The figures on the page, in order."""
    contents = [json.loads(chart.proto.json).get("figure") for chart in page.get("bidi_component")]
    return [json.loads(figure) for figure in contents if figure]


def bars(page: AppTest) -> list[dict[str, Any]]:
    """The rows of jobs whose progress the page shows."""
    contents = [json.loads(block.proto.json) for block in page.get("bidi_component")]
    return [row for content in contents for row in content.get("rows", ())]


def titles(page: AppTest) -> list[str]:
    """The titles of the figures, in order."""
    return [figure["layout"]["title"]["text"] for figure in charts(page)]


def jobs(kind: str) -> list[Job]:
    """The jobs of a kind, newest first."""
    return Store().all(kind)


def settings(kind: str) -> Any:
    """The settings of the newest job of a kind."""
    return jobs(kind)[0].settings
