"""The start page's replay shows what was recorded."""

import json

import numpy as np
import pytest

from samar.charts.replay import (
    EVERY,
    POINTS,
    STRIDE,
    TOP,
    flat_figures,
    measured_every,
    memorized,
    replay_figures,
)
from samar.recordings import RecordedRun, recording
from samar.web.plotly_chart import figure_json

RUNS = ("sgd", "samar")


@pytest.fixture(scope="module")
def runs() -> dict[str, RecordedRun]:
    shipped = recording("noisy_digits").runs
    return {name: shipped[f"{name}_0"] for name in RUNS}


@pytest.mark.parametrize("name", RUNS)
def test_a_landscape_is_the_measured_one_wherever_it_was_measured(
    runs: dict[str, RecordedRun], name: str
) -> None:
    figure = replay_figures(runs["samar"], runs["sgd"])[name]
    spec, film = figure.layout.meta["film"], runs[name].film
    assert film is not None
    assert spec["every"] * spec["last"] == film.steps[-1]
    n = len(range(17)[POINTS])
    rows = np.asarray(spec["rows"]["0"]["z"]).reshape(spec["last"] + 1, n, n)
    for step, plane in zip(film.steps, film.loss, strict=True):
        drawn = np.minimum(plane[POINTS, POINTS], TOP)
        np.testing.assert_allclose(rows[int(step) // EVERY], drawn, rtol=1e-6)
    between = (film.steps[0] + EVERY) // EVERY
    low, high = np.sort(film.loss[:2, POINTS, POINTS], axis=0)
    assert (rows[between] >= low - 1e-6).all()
    assert (rows[between] <= high + 1e-6).all()
    np.testing.assert_array_equal(np.asarray(figure.data[0].z), rows[-1].ravel())


@pytest.mark.parametrize("name", RUNS)
def test_what_is_memorized_is_told_as_recorded(runs: dict[str, RecordedRun], name: str) -> None:
    told = replay_figures(runs["samar"], runs["sgd"])[name].layout.meta["film"]["subtitles"]
    shares, steps = runs[name].epochs["memorized"], runs[name].epochs["step"]
    assert told[-1] == f"wrong labels memorized: {memorized(runs[name]):.0f} %"
    for moment, text in enumerate(told):
        known = [share for share, step in zip(shares, steps, strict=True) if step <= EVERY * moment]
        share = known[-1] if known else shares[0]
        assert text == f"wrong labels memorized: {100 * share:.0f} %"


def test_lambda_and_ratio_are_the_recorded_ones_and_the_words_hold(
    runs: dict[str, RecordedRun],
) -> None:
    steps, config = runs["samar"].steps, runs["samar"].config
    figure = replay_figures(runs["samar"], runs["sgd"])["strength"]
    for trace, name in zip(figure.data[:2], ("lam", "ratio"), strict=True):
        np.testing.assert_array_equal(trace.y, steps[name][::STRIDE])
    spec = figure.layout.meta["film"]
    assert spec["grow"] == [0, 1]
    assert EVERY % spec["every"] == 0, "what moves, moves in the same frames"
    assert {number: each["line"] for number, each in spec["follow"].items()} == {"2": 0, "3": 1}
    # "Above 1, λ rises": no step of the recording says otherwise.
    change, ratio = np.diff(steps["lam"])[1:], steps["ratio"][1:-1]
    measured = np.isfinite(steps["sharpness"])[1:-1]
    assert 0.1 < measured.mean() < 0.9
    free = measured & (steps["lam"][2:] > config["lam_min"])
    assert (np.sign(change) == np.sign(ratio - 1))[free].all()
    assert (change[~measured] == 0).all(), "a skipped step carries λ on"
    assert steps["lam"].max() < config["lam_max"]


def test_without_webgl_the_cuts_go_through_the_network(runs: dict[str, RecordedRun]) -> None:
    for name, figure in flat_figures(runs["samar"], runs["sgd"]).items():
        film = runs[name].film
        assert film is not None
        np.testing.assert_allclose(figure.data[0].y, film.loss[-1, 8, POINTS], rtol=1e-6)
        np.testing.assert_allclose(figure.data[1].y, film.loss[-1, POINTS, 8], rtol=1e-6)
        spec = figure.layout.meta["film"]
        assert np.asarray(spec["rows"]["0"]["y"]).size == (spec["last"] + 1) * 9


def test_the_replay_is_described_and_small_enough_to_send(runs: dict[str, RecordedRun]) -> None:
    figures = replay_figures(runs["samar"], runs["sgd"])
    assert all(figure.layout.meta["alt"] for figure in figures.values())
    flat = flat_figures(runs["samar"], runs["sgd"])
    sent = [figure_json(figure) for figure in [*figures.values(), *flat.values()]]
    assert sum(map(len, sent)) < 200_000
    assert "bdata" in json.loads(sent[0])["layout"]["meta"]["film"]["rows"]["0"]["z"]
    assert measured_every(runs["samar"]) == 3
