from dataclasses import replace

import numpy as np
import pytest
import torch

from samar.charts.curvature import (
    convergence_figure,
    density_figure,
    eigenvalue_figure,
    eigenvalue_name,
    layers_figure,
)
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
    assert "&lt;net&gt;" in eigenvalue_figure([("<net>", report)]).layout.title.text


def test_a_negative_eigenvalue_of_pyhessian_is_not_called_the_largest(report) -> None:
    spectrum = replace(report.spectrum, values=(3.0, -4.0), residuals=(0.0, 0.0))
    found = replace(report, spectrum=spectrum, manifest={**report.manifest, "engine": "pyhessian"})
    assert eigenvalue_figure([("net", found)]).data[1].name == "largest in modulus"
    assert eigenvalue_figure([("net", report)]).data[1].name == "largest"


def test_names_are_no_markup_in_legends(report) -> None:
    named = [("<b>a</b>", report), ("b", report)]
    for figure in (eigenvalue_figure(named), density_figure(named), layers_figure(named, "trace")):
        names = " ".join(trace.name or "" for trace in figure.data)
        assert "&lt;b&gt;a" in names
        assert "<b>" not in names
    assert "<b>a</b>" in eigenvalue_figure(named).layout.meta["alt"]


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


def test_estimates_become_one_curve_per_rank() -> None:
    estimates = [
        {"product": 1, "values": [2.0], "residuals": [1.0]},
        {"product": 4, "values": [5.0, 1.0], "residuals": [0.1, 0.5]},
    ]
    first, second = convergence_figure(estimates).data
    assert (first.name, list(first.x), list(first.y)) == ("h₁ 5", [1, 4], [2, 5])
    assert (second.name, list(second.x), list(second.customdata)) == ("h₂ 1", [4], [0.5])
    figure = convergence_figure(estimates, 1024)
    assert "1,024 images" in figure.layout.title.text
    assert list(figure.data[0].error_y.array) == [1.0, 0.1]
    low, high = figure.layout.yaxis.range
    assert low == 0
    assert 5 < high < 6, "the first residuals do not set the scale"
    below = [{"product": 1, "values": [2.0, -1.0], "residuals": [9.0, 9.0]}]
    assert convergence_figure(below).layout.yaxis.range[0] < -1
    assert "after one product" in convergence_figure([]).layout.annotations[0].text
    assert eigenvalue_name(12) == "h₁₂"
