"""What the panels of a run show, read off the figures."""

from collections.abc import Callable

import numpy as np
import pytest

from samar.charts.smoothing import exponential_moving_average
from samar.charts.theme import OPTIMIZER_STYLES
from samar.charts.training import X_TITLES, View, lam_figure, ratio_figure, sharpness_figure

Run = Callable[..., tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]


@pytest.mark.parametrize("x", X_TITLES)
@pytest.mark.parametrize("optimizer", OPTIMIZER_STYLES)
def test_panels_share_their_x(run: Run, optimizer: str, x: str) -> None:
    steps, epochs = run(optimizer)
    for draw in (lam_figure, ratio_figure, sharpness_figure):
        figure = draw(steps, epochs, View(optimizer, x=x))
        if figure.data:
            assert figure.layout.xaxis.title.text == X_TITLES[x]
            assert figure.layout.yaxis.title.text
            limits = figure.layout.xaxis.autorangeoptions
            assert (limits.clipmin, limits.clipmax) == (0, steps[x][-1])
        for trace in figure.data:
            assert trace.x.dtype == trace.y.dtype == np.float32
            np.testing.assert_allclose(trace.x[-1], steps[x][-1], rtol=1e-6)


def test_smoothed_curve_lies_over_a_faint_raw_one(run: Run) -> None:
    steps, epochs = run("samar")
    raw, smooth = sharpness_figure(steps, epochs, View("samar", smoothing=0.9)).data
    np.testing.assert_allclose(raw.y, steps["sharpness"], rtol=1e-6)
    expected = exponential_moving_average(steps["sharpness"], 0.9)
    np.testing.assert_allclose(smooth.y, expected, rtol=1e-6)
    assert raw.opacity < 0.5
    assert smooth.opacity is None
    assert raw.legendgroup == smooth.legendgroup


def test_ratio_is_averaged_geometrically(run: Run) -> None:
    steps, epochs = run("samar")
    steps["ratio"] = np.where(steps["step"] % 2 == 0, 2.0, 0.5)
    _, smooth = ratio_figure(steps, epochs, View("samar", smoothing=0.99)).data
    assert abs(np.log(smooth.y[-1])) < 0.02, "a doubling and a halving cancel"


def test_bounds_and_dead_band_are_drawn(run: Run) -> None:
    view = View("samar", bounds=(0.1, 3.0), dead_band=(0.9, 1.1))
    upper, lower = lam_figure(*run("samar"), view).layout.shapes
    assert (lower.y0, lower.y1, upper.y0, upper.y1) == (0.1, 0.1, 3.0, 3.0)
    one, band = ratio_figure(*run("samar"), view).layout.shapes
    assert (one.y0, one.y1) == (1.0, 1.0)
    assert (band.type, band.y0, band.y1) == ("rect", 0.9, 1.1)
    assert band.showlegend


@pytest.mark.parametrize("spread", [0.01, 0.2, 1.0, 3.0])
def test_ratio_axis_is_centred_on_one(run: Run, spread: float) -> None:
    steps, epochs = run("samar")
    steps["ratio"] = np.exp(np.random.default_rng(0).uniform(-spread, spread, 400))
    steps["ratio"][:3] = [np.nan, 0.0, np.inf]
    axis = ratio_figure(steps, epochs, View("samar")).layout.yaxis
    low, high = axis.autorangeoptions.clipmin, axis.autorangeoptions.clipmax
    assert axis.type == "log"
    assert low * high == pytest.approx(1.0)
    inside = (steps["ratio"] >= low) & (steps["ratio"] <= high)
    assert inside.sum() >= 0.95 * 397
    assert axis.range is None, "a fixed range would overrule the reader's zoom"
