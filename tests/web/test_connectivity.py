"""The Connectivity page without a browser: two networks in, barriers, figures and files out."""

import json
import math
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from samar.connectivity.result import Along, Barrier, Connection, Path
from samar.jobs.engine.worker import run as work
from samar.jobs.job import Job, job_dir, weights_path
from samar.jobs.store import Store
from samar.kinds.connectivity import ConnectivityJobSettings, prepare
from samar.web.connectivity.results import _barrier, _exports, _sentences
from samar.web.service import service

APP = FilePath(__file__).parents[2] / "app.py"
FEW = {"c_points": "5", "c_images": "20", "c_steps": "3", "c_plane": "5 × 5", "c_align": "none"}


@pytest.fixture
def visit(recorded: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """``visit(c_curve="chain", …)`` opens the page over two runs; :func:`finish` does jobs."""
    for seed, name in enumerate(("second", "first")):
        recorded(weights=True, seed=seed, name=name)
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()

    def visit(**query: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=60)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run().switch_page("pages/analysis/connectivity.py").run()

    return visit


def finish() -> None:
    """Do what is queued, in this process."""
    store = Store()
    while (job := store.claim_next("short", 1)) is not None:
        work(store, job)


def words(page: AppTest) -> str:
    """Everything the page says."""
    assert not page.exception
    boxes = (page.caption, page.markdown, page.info, page.warning, page.error, page.code)
    said = " ".join(element.value for box in boxes for element in box)
    return said.replace("\\", "")


def titles(page: AppTest) -> list[str]:
    """Of the figures, in order."""
    found = [json.loads(chart.proto.json).get("figure") for chart in page.get("bidi_component")]
    figures: list[dict[str, Any]] = [json.loads(figure) for figure in found if figure]
    return [figure["layout"]["title"]["text"] for figure in figures]


def test_two_runs_are_joined_and_the_link_shows_it_again(visit: Callable[..., AppTest]) -> None:
    page = visit(**FEW)
    assert "lie far from each other" in words(page)
    page.button(key="c_compute").click().run()
    (job,) = Store().all("connectivity")
    assert (job.settings.network, job.settings.other) == tuple(
        Store().get(name).id for name in ("first", "second")
    )
    assert job.settings.curve == "bezier"
    finish()
    page.run()
    said = words(page)
    assert "Straight line: " in said
    assert "Bézier curve: " in said
    assert "measured on" in said
    assert "20 training images · 20 test images" in said
    assert "different images" not in said
    table = page.table[0].value
    assert list(table.index) == ["Straight line", "Bézier curve"]
    assert "barrier of the loss, test images" in table.columns
    assert [title.split(",")[0] for title in titles(page)] == [
        *["<b>Loss along the paths", "<b>Accuracy along the paths"] * 2,
        *("<b>Bézier curve</b>", "<b>Training of the bend</b>"),
    ]
    assert job.settings.command in said
    again = visit(job=job.id)
    assert again.selectbox(key="c_curve").value == "bezier"
    assert again.number_input(key="c_images").value == 20
    assert "measured on" in words(again)


def test_a_first_result_comes_by_itself_and_is_called_so(visit: Callable[..., AppTest]) -> None:
    page = visit(c_curve="chain", c_align="weights")
    finish()
    page.run()
    (job,) = Store().all("connectivity")
    assert job.settings.curve == "line"
    assert "first result, 32 images" in words(page)
    assert list(page.table[0].value.index) == ["Straight line", "Straight line, aligned"]


def test_a_link_to_two_runs_leaves_two_files_behind(visit: Callable[..., AppTest]) -> None:
    page = visit(**FEW)
    page.button(key="c_compute").click().run()
    (job,) = Store().all("connectivity")
    finish()
    other = visit(c_of="files", c_file="/nowhere/a.safetensors", c_file2="b.safetensors", **FEW)
    assert other.session_state["c_of"] == "files"
    other.switch_page("pages/experiment/runs.py").run()
    other.query_params.clear()
    other.query_params["job"] = job.id
    other.switch_page("pages/analysis/connectivity.py").run()
    assert other.session_state["c_of"] == "runs"
    assert "Straight line: " in words(other)


def test_a_link_to_a_run_and_a_file_shows_their_job(
    visit: Callable[..., AppTest], tmp_path: FilePath
) -> None:
    run, store = Store().get("first"), Store()
    file = tmp_path / "other.safetensors"
    file.write_bytes(weights_path(Store().get("second").id).read_bytes())
    settings = ConnectivityJobSettings(
        network=run.id,
        other=str(file),
        model="cnn",
        dataset="digits",
        curve="line",
        align="none",
        points=5,
        images=20,
    )
    asked = store.get(store.create(settings, inputs=prepare(store, settings)))
    page = visit(job=asked.id)
    assert page.session_state["c_of"] == "files"
    assert page.session_state["c_file"] == run.id
    assert "There is no network" not in words(page)
    finish()
    page.run()
    assert [job.id for job in store.all("connectivity")] == [asked.id]
    assert "Straight line: " in words(page)


def test_the_bend_of_a_line_makes_no_other_question(visit: Callable[..., AppTest]) -> None:
    page = visit(**FEW | {"c_curve": "line", "c_steps": "7"})
    assert page.number_input(key="c_steps").disabled
    assert not {"--steps", "--plane"} & set(page.code[0].value.split())


def test_what_does_not_fit_is_one_sentence(visit: Callable[..., AppTest]) -> None:
    page = visit(c_lr="99", **FEW)
    assert "The link holds a setting that does not fit. lr is '99'" in words(page)
    page = visit(job="nothing", **FEW)
    assert "The link names a measurement that is not here" in words(page)
    same = Store().get("first").id
    page = visit(c_run=same, c_run2=same, **FEW)
    assert "have the same weights; choose two networks" in words(page)
    page = visit(c_of="files", c_file="/nowhere/a.safetensors", c_file2="b.safetensors", **FEW)
    assert "There is no file /nowhere/a.safetensors" in words(page)


def test_without_two_networks_it_says_what_to_do(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    app.switch_page("pages/analysis/connectivity.py").run()
    assert "Choose two trained networks on the left" in words(app)


def test_a_rise_within_its_error_is_no_clear_barrier() -> None:
    t, losses = np.linspace(0, 1, 3), np.array([[1.0, 1.0], [1.1, 0.92], [1.0, 1.0]])
    paths = tuple(
        Path("line", aligned, t, {"test": Along.of(t, each, each > 0)}, np.empty((0, 2)))
        for aligned, each in ((False, losses), (True, losses + np.inf))
    )
    found = Connection(paths, {"distance": 1.0})
    assert "Straight line: **no clear barrier**." in _sentences(found)
    content, _ = _exports(found, {}, "a to b")["json"]
    lowest = json.loads(str(content()), parse_constant=lambda word: pytest.fail(word))
    assert lowest["paths"][1]["test_barrier"] is None


def test_one_image_has_no_error_and_no_verdict() -> None:
    t, losses = np.linspace(0, 1, 3), np.array([[0.1], [5.0], [0.1]])
    path = Path("line", False, t, {"test": Along.of(t, losses, losses > 0)}, np.empty((0, 2)))
    said = _sentences(Connection((path,), {"distance": 1.0}))
    assert said[1] == "Straight line: barrier 4.900, of one image."


def test_a_small_barrier_has_an_error_with_digits() -> None:
    assert _barrier(Barrier(0.25, 0.0123, 0.5, 0.25)) == "0.250 ± 0.012"
    assert _barrier(Barrier(0.00083, 0.00021, 0.5, 0.00083)) == "0.00083 ± 0.00021"
    assert _barrier(Barrier(0.1, math.nan, 0.5, 0.1)) == "0.100"


def test_a_file_that_was_deleted_by_hand_is_said(visit: Callable[..., AppTest]) -> None:
    page = visit(c_curve="line", **FEW)
    page.button(key="c_compute").click().run()
    finish()
    (job,) = Store().all("connectivity")
    (job_dir(job.id) / "paths.npz").write_bytes(b"")
    page.run()
    assert "cannot be read; measure them anew" in words(page)
