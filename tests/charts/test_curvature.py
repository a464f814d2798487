from dataclasses import replace

import numpy as np
import pytest
import torch

from samar.charts.curvature import density_figure, eigenvalue_figure, layers_figure
from samar.curvature.report import measure
from samar.curvature.result import Report
from samar.curvature.settings import CurvatureSettings
from samar.data.load import load_dataset
from samar.models.build import build_model


@pytest.fixture(scope="module")
def report() -> Report:
    torch.manual_seed(0)
    request = CurvatureSettings(images=16, top=4, tol=1e-2, density=True, layers=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("samar.curvature.report.STEPS", 12)
        return measure(build_model("cnn", classes=10, channels=1), load_dataset("digits"), request)


def test_stems_end_at_the_eigenvalues_with_residuals_as_bars(report) -> None:
    stems, top, low = eigenvalue_figure([("net", report)]).data
    assert tuple(top.y) == report.spectrum.values
    assert tuple(top.error_y.array) == report.spectrum.residuals
    assert tuple(low.y) == report.spectrum.lowest
    assert tuple(stems.y[1::3]) == report.spectrum.values


def test_two_networks_differ_in_more_than_colour(report) -> None:
    traces = eigenvalue_figure([("a", report), ("b", report)]).data
    tops = [trace for trace in traces if trace.name in ("a", "b")]
    assert tops[0].marker.symbol != tops[1].marker.symbol
    assert tops[0].x[0] < 1 < tops[1].x[0]


def test_density_is_logarithmic_and_marks_outliers(report) -> None:
    figure = density_figure([("net", report)])
    curve, outliers = figure.data
    assert figure.layout.yaxis.type == "log"
    assert np.nanmax(curve.y) == report.density.density.max()
    assert np.nanmin(curve.y) > 1e-9 * np.nanmax(curve.y)
    assert np.array_equal(outliers.x, report.density.outliers)
    assert f"net {len(report.density.outliers)}" in figure.layout.meta["alt"]


@pytest.mark.parametrize(
    ("quantity", "error"), [("eigenvalue", "residual"), ("trace", "trace_error")]
)
def test_layers_from_top_to_bottom(report, quantity, error) -> None:
    figure = layers_figure([("net", report), ("bare", replace(report, layers=None))], quantity)
    (bars,) = figure.data
    assert list(bars.y) == [layer.name for layer in report.layers]
    assert list(bars.x) == [getattr(layer, quantity) for layer in report.layers]
    assert list(bars.error_x.array) == [getattr(layer, error) for layer in report.layers]
    assert figure.layout.yaxis.autorange == "reversed"
