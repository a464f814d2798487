import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from samar.charts.sweeps import (
    EMPTY,
    UNCHOSEN,
    curve_figure,
    difference_figure,
    heat_map_figure,
)
from samar.charts.theme import OPTIMIZER_STYLES
from samar.sweeps.results import Difference, HeatMap
from samar.sweeps.statistics import MeanStd

NAN = float("nan")


def result(optimizer: str, rho: float | None, val: float, std: float = 0.01) -> Any:
    n = 0 if math.isnan(val) else 3
    return SimpleNamespace(
        label=f"{optimizer} {rho}",
        optimizer=optimizer,
        values={"optimizer": optimizer, "rho": rho},
        val=MeanStd(val, std, n),
        test=MeanStd(val + 0.1, std, n),
    )


def heat(*cells: tuple[Any, ...]) -> HeatMap:
    return HeatMap("rho", "optimizer", ("SGD", "SAM")[: len(cells)], ("0.1", "0.2"), cells)


def test_a_heat_map_shows_the_means_in_percent_and_frames_the_best() -> None:
    sgd, low, high = result("sgd", None, 0.5), result("sam", 0.1, 0.6), result("sam", 0.2, 0.7, NAN)
    figure = heat_map_figure(
        heat((sgd, None), (low, high)), "test", x_title="radius ρ", y_title="optimizer", best=high
    )
    (trace,) = figure.data
    assert np.array(trace.z) == pytest.approx(np.array([[60, NAN], [70, 80]]), nan_ok=True)
    assert [list(row) for row in trace.text] == [
        ["60.00<br>± 1.00", ""],
        ["70.00<br>± 1.00", "80.00"],
    ]
    (frame,) = figure.layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (0.5, 1.5, 0.5, 1.5)
    assert "the best by validation is framed" in figure.layout.meta["alt"]


def test_without_results_the_figures_say_what_they_wait_for() -> None:
    empty = heat_map_figure(heat((None, None)), "val", x_title="x", y_title="y")
    assert [note.text for note in empty.layout.annotations] == [EMPTY]
    assert [n.text for n in curve_figure({}, "rho", "val", title="ρ", log=True).layout.annotations]
    assert difference_figure([], "SGD", "test").layout.annotations
    trained = result("sam", 0.1, 0.6)
    trained.val = MeanStd(NAN, NAN, 3)  # on no held-out image
    cells, curves = heat((trained, trained)), {"SAM": [trained]}
    for figure in (
        heat_map_figure(cells, "val", x_title="x", y_title="y", done=True),
        heat_map_figure(heat((None, None)), "val", x_title="x", y_title="y", done=True),
        curve_figure(curves, "rho", "val", title="ρ", log=True, done=True),
        curve_figure({}, "rho", "val", title="ρ", log=True, done=True),
    ):
        assert [note.text for note in figure.layout.annotations] == [UNCHOSEN]
    only_sgd = {"SGD": [result("sgd", None, 0.5)]}  # the first member finished, and has no radius
    (note,) = curve_figure(only_sgd, "rho", "val", title="radius ρ", log=True).layout.annotations
    assert note.text == "Waiting for a run with radius ρ to finish."


def test_curves_rise_with_the_setting_and_what_lacks_it_is_level() -> None:
    curves = {
        "SGD": [result("sgd", None, 0.5)],
        "SGD twice": [result("sgd", None, 0.55)],
        "SAM": [result("sam", 0.1, 0.6), result("sam", 0.2, 0.7)],
    }
    figure = curve_figure(curves, "rho", "val", title="radius ρ", log=True)
    level, longer, sam = figure.data
    assert (list(level.x), list(level.y), level.mode) == ([0.1, 0.2], [50, 50], "lines")
    assert (list(sam.x), list(sam.y)) == ([0.1, 0.2], pytest.approx([60, 70]))
    assert list(sam.error_y.array) == pytest.approx([1, 1])
    assert sam.line.color == OPTIMIZER_STYLES["sam"].color
    assert level.line.dash != longer.line.dash
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.tickvals) == [0.1, 0.2]


def test_differences_are_drawn_in_points_with_their_interval_and_seeds() -> None:
    found = [
        Difference("SAM", "sam", {0: 0.01, 1: 0.03}),
        Difference("one seed", "samar", {0: 0.05}),
    ]
    figure = difference_figure(found, "SGD", "test")
    single, sam, _, seeds = figure.data
    assert (sam.x[0], sam.error_x.array[0]) == pytest.approx((2, 12.7062))
    assert list(seeds.x) == pytest.approx([1, 3])
    assert single.error_x.array is None
    assert "one seed, no interval" in single.hovertemplate
    assert "±" not in single.hovertemplate
    assert figure.layout.yaxis.ticktext == ("one seed", "SAM")
    assert figure.layout.xaxis.title.text == "percentage points above<br>SGD"
