"""The Connectivity page's choices and picture: two networks in, barriers, figures, files out."""

import json
import math
from collections.abc import Callable
from pathlib import Path as FilePath

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from samar.connectivity.result import Along, Barrier, Connection, Path
from samar.jobs.job import job_dir, weights_path
from samar.kinds.connectivity import ConnectivityJobSettings
from samar.web.measuring.connectivity import _barrier, _sentences, exports
from samar.web.pages import PAGES
from samar.web.service import service
from tests.web.measuring import FEW, finish, has, jobs, press, titles, words

Visit = Callable[..., AppTest]
KIND, FIRST = "connectivity", {"c_curve": "chain", "c_align": "weights"}


def test_two_runs_are_joined(visit: Visit, two_runs: tuple[str, str]) -> None:
    page = visit(KIND, **FEW[KIND])
    assert "lie far from each other" in words(page)
    finish(press(page, "c_compute"))
    (job,) = jobs(KIND)
    assert (job.settings.network, job.settings.other) == two_runs
    assert "Straight line: " in words(page)
    assert "20 training images · 20 test images" in words(page)
    table = page.table[0].value
    assert list(table.index) == ["Straight line", "Bézier curve"]
    assert "barrier of the loss, test images" in table.columns
    assert [title.split(",")[0] for title in titles(page)] == [
        *["<b>Loss along the paths", "<b>Accuracy along the paths"] * 2,
        *("<b>Bézier curve</b>", "<b>Training of the bend</b>"),
    ]
    page.selectbox(key="c_curve").set_value("line").run()
    assert not has(page, "c_steps")
    assert not {"--steps", "--plane"} & set(page.code[0].value.split())
    (job_dir(job.id) / "paths.npz").write_bytes(b"")
    assert "cannot be read; measure them anew" in words(visit(KIND, job=job.id))


def test_a_first_result_is_of_straight_lines(visit: Visit) -> None:
    page = visit(KIND, **FIRST)
    finish(page)
    assert [job.settings.curve for job in jobs(KIND)] == ["line"]
    assert "first result, 32 images" in words(page)
    assert list(page.table[0].value.index) == ["Straight line", "Straight line, aligned"]


def test_a_link_to_a_run_and_a_file_shows_their_job(
    visit: Visit, two_runs: tuple[str, str], tmp_path: FilePath
) -> None:
    first, second = two_runs
    file = tmp_path / "other.safetensors"
    file.write_bytes(weights_path(second).read_bytes())
    few = {"curve": "line", "align": "none", "points": 5, "images": 20}
    belongs = {"model": "cnn", "dataset": "digits"}
    asked = ConnectivityJobSettings.parse({"network": first, "other": str(file), **belongs, **few})
    job_id = service().submit(asked)
    page = visit(KIND, job=job_id)
    assert page.session_state["c_of"] == "files"
    assert page.session_state["c_file"] == first
    finish(page)
    assert [job.id for job in jobs(KIND)] == [job_id]
    assert "Straight line: " in words(page)
    page.switch_page(PAGES["runs"].path).run()
    page.query_params.clear()
    page.query_params["job"] = service().submit(asked.changed(other=second, dataset=None))
    page.switch_page(PAGES["connectivity"].path).run()
    assert page.session_state["c_of"] == "runs", "the files of before are left behind"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"c_run": "newer", "c_run2": "newer"}, "have the same weights; choose two networks"),
        (
            {"c_of": "files", "c_file": "/nowhere/a.safetensors", "c_file2": "b.safetensors"},
            "There is no file /nowhere/a.safetensors",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    visit: Visit, query: dict[str, str], sentence: str
) -> None:
    assert sentence in words(visit(KIND, **query, **FEW[KIND]))


def connection(*losses: np.ndarray) -> Connection:
    t = np.linspace(0, 1, 3)
    paths = tuple(
        Path("line", aligned, t, {"test": Along.of(t, loss, loss > 0)}, np.empty((0, 2)))
        for aligned, loss in zip((False, True), losses, strict=False)
    )
    return Connection(paths, {"distance": 1.0})


def test_a_barrier_is_called_clear_only_beyond_its_error() -> None:
    losses = np.array([[1.0, 1.0], [1.1, 0.92], [1.0, 1.0]])
    measured = connection(losses, losses + np.inf)
    assert "Straight line: **no clear barrier**." in _sentences(measured)
    content = str(exports(measured, {}, "a to b")["json"]())
    lowest = json.loads(content, parse_constant=lambda word: pytest.fail(word))
    assert lowest["paths"][1]["test_barrier"] is None
    said = _sentences(connection(np.array([[0.1], [5.0], [0.1]])))
    assert said[1] == "Straight line: barrier 4.900, of one image."


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.25, 0.0123, "0.250 ± 0.012"),
        (0.00083, 0.00021, "0.00083 ± 0.00021"),
        (0.1, math.nan, "0.100"),
    ],
)
def test_a_small_barrier_has_an_error_with_digits(value: float, error: float, text: str) -> None:
    assert _barrier(Barrier(value, error, 0.5, value)) == text
