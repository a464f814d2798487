"""What the panels of a run show, read off the figures."""

from collections.abc import Callable

import numpy as np
import pytest

from samar.charts.smoothing import exponential_moving_average
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES
from samar.charts.training import PANELS, X_TITLES, View, panel_names

Run = Callable[..., tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]


@pytest.mark.parametrize("x", X_TITLES)
@pytest.mark.parametrize("optimizer", OPTIMIZER_STYLES)
def test_panels_share_their_x(run: Run, optimizer: str, x: str) -> None:
    steps, epochs = run(optimizer)
    for name in panel_names(optimizer):
        figure = PANELS[name](steps, epochs, View(optimizer, x=x))
        if figure.data:
            assert figure.layout.xaxis.title.text == X_TITLES[x]
            assert figure.layout.yaxis.title.text
            limits = figure.layout.xaxis.autorangeoptions
            assert (limits.clipmin, limits.clipmax) == (0, steps[x][-1])
        for trace in figure.data:
            assert trace.x.dtype == trace.y.dtype == np.float32
            np.testing.assert_allclose(trace.x[-1], steps[x][-1], rtol=1e-6)


@pytest.mark.parametrize("name", PANELS)
def test_nothing_recorded_yet_is_said_in_words(run: Run, name: str) -> None:
    figure = PANELS[name](*run("samar", steps=0), View("samar", smoothing=0.9, bounds=(0.1, 3.0)))
    assert not figure.data
    assert figure.layout.annotations[0].text.startswith("Waiting for")


def test_loss_has_the_values_recorded(run: Run) -> None:
    steps, epochs = run("samar")
    batch, train, test = PANELS["loss"](steps, epochs, View("samar")).data
    np.testing.assert_allclose(batch.y, steps["loss"], rtol=1e-6)
    np.testing.assert_allclose(train.y, epochs["train_loss"], rtol=1e-6)
    np.testing.assert_allclose(test.y, epochs["test_loss"], rtol=1e-6)
    assert batch.opacity is None, "no smoothing, nothing faint"
    assert (train.line.color, test.line.color) == (NEUTRAL, OPTIMIZER_STYLES["samar"].color)
    assert train.marker.symbol != test.marker.symbol


def test_accuracy_in_percent_and_gap_in_points(run: Run) -> None:
    steps, epochs = run("vasso")
    train, test = PANELS["accuracy"](steps, epochs, View("vasso")).data
    np.testing.assert_allclose(train.y, 100 * epochs["train_accuracy"], rtol=1e-6)
    (gap,) = PANELS["gap"](steps, epochs, View("vasso")).data
    np.testing.assert_allclose(gap.y, train.y - test.y, atol=1e-4)
    style = OPTIMIZER_STYLES["vasso"]
    assert (gap.line.color, gap.line.dash, gap.marker.symbol) == (
        style.color,
        style.dash,
        style.symbol,
    )


def test_smoothed_curve_lies_over_a_faint_raw_one(run: Run) -> None:
    steps, epochs = run("samar")
    raw, smooth = PANELS["sharpness"](steps, epochs, View("samar", smoothing=0.9)).data
    np.testing.assert_allclose(raw.y, steps["sharpness"], rtol=1e-6)
    expected = exponential_moving_average(steps["sharpness"], 0.9)
    np.testing.assert_allclose(smooth.y, expected, rtol=1e-6)
    assert raw.opacity < 0.5
    assert smooth.opacity is None
    assert raw.legendgroup == smooth.legendgroup


def test_ratio_is_averaged_geometrically(run: Run) -> None:
    steps, epochs = run("samar")
    steps["ratio"] = np.where(steps["step"] % 2 == 0, 2.0, 0.5)
    _, smooth = PANELS["ratio"](steps, epochs, View("samar", smoothing=0.99)).data
    assert abs(np.log(smooth.y[-1])) < 0.02, "a doubling and a halving cancel"


def test_bounds_and_dead_band_are_drawn(run: Run) -> None:
    view = View("samar", bounds=(0.1, 3.0), dead_band=(0.9, 1.1))
    upper, lower = PANELS["lam"](*run("samar"), view).layout.shapes
    assert (lower.y0, lower.y1, upper.y0, upper.y1) == (0.1, 0.1, 3.0, 3.0)
    one, band = PANELS["ratio"](*run("samar"), view).layout.shapes
    assert (one.y0, one.y1) == (1.0, 1.0)
    assert (band.type, band.y0, band.y1) == ("rect", 0.9, 1.1)
    assert band.showlegend


@pytest.mark.parametrize("spread", [0.01, 0.2, 1.0, 3.0])
def test_ratio_axis_is_centred_on_one(run: Run, spread: float) -> None:
    steps, epochs = run("samar")
    steps["ratio"] = np.exp(np.random.default_rng(0).uniform(-spread, spread, 400))
    steps["ratio"][:3] = [np.nan, 0.0, np.inf]
    axis = PANELS["ratio"](steps, epochs, View("samar")).layout.yaxis
    low, high = axis.autorangeoptions.clipmin, axis.autorangeoptions.clipmax
    assert axis.type == "log"
    assert low * high == pytest.approx(1.0)
    inside = (steps["ratio"] >= low) & (steps["ratio"] <= high)
    assert inside.sum() >= 0.95 * 397
    assert axis.range is None, "a fixed range would overrule the reader's zoom"
