"""The start page: what plays, and doors that lead somewhere."""

import json
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from samar.charts.replay import MOMENTS, replay_figures
from samar.recordings.catalog import recording
from samar.web.service import service

APP = Path(__file__).parents[2] / "app.py"


def test_the_start_page_has_three_doors_and_no_dead_end(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not app.exception
    assert app.button(key="train_now")
    pages = {link.proto.page for link in app.get("page_link")}
    assert {"playground", "lessons", "train", "compare", "glossary"} <= pages


def test_the_replay_shows_what_was_recorded_and_ends_where_the_run_ended() -> None:
    runs = recording("noisy_digits").runs
    samar, sgd = runs["samar_0"], runs["sgd_0"]
    figures = replay_figures(samar, sgd)
    assert set(figures) == {
        "plane_sgd",
        "plane_samar",
        "memorized",
        "lam",
        "ratio",
        "test",
    }
    for name, figure in figures.items():
        if not name.startswith("plane"):
            assert figure.layout.meta["film"]["last"] == MOMENTS - 1
        assert figure.layout.meta["alt"]
    lam = figures["lam"].data[0].y
    assert lam[0] == samar.steps["lam"][0]
    assert lam[-1] == samar.steps["lam"][-1]
    frames = figures["plane_samar"].frames
    assert len(frames) == MOMENTS
    assert samar.film is not None
    for frame, plane in ((frames[0], samar.film.loss[0]), (frames[-1], samar.film.loss[-1])):
        np.testing.assert_array_equal(frame.data[0].z, np.minimum(plane, 4.0))
    learned = figures["memorized"].data[0].y
    assert learned[-1] == pytest.approx(100 * sgd.epochs["memorized"][-1], rel=1e-4)


def test_the_replay_is_small_enough_to_send() -> None:
    from samar.web.plotly_chart import figure_json

    runs = recording("noisy_digits").runs
    figures = replay_figures(runs["samar_0"], runs["sgd_0"])
    sizes = {name: len(figure_json(figure)) for name, figure in figures.items()}
    assert sum(sizes.values()) < 500_000, sizes
    assert len(json.loads(figure_json(figures["plane_samar"]))["frames"]) == MOMENTS
