"""The study's figures show every run, every mean, and say so in words."""

from dataclasses import replace

import pytest

from samar.charts.study import arms_figure, curve_figure
from samar.sweeps.study.coordinator import described
from samar.sweeps.study.protocol import Trial, config_of
from samar.sweeps.study.rows import Row
from samar.sweeps.study.summary import curves


def row(arm: str, seed: int, test: float, phase: str = "final", **values: float) -> Row:
    config = config_of("digits_clean", arm, seed=seed, chosen=values)
    blank = described(Trial("digits_clean", phase, arm, config))
    return replace(blank, status="finished", test_accuracy=test, train_accuracy=1.0, gap=1.0 - test)


def test_arms() -> None:
    rows = [row("sgd", 1, 0.5), row("sgd", 2, 0.7), row("samar", 1, 0.9)]
    figure = arms_figure(rows, "digits_clean")
    dots, mean, *_ = figure.data
    assert dots.x == pytest.approx((50, 70))
    assert mean.x == pytest.approx((60,))
    assert mean.error_x.array == pytest.approx((14.1421,), rel=1e-5)
    assert figure.layout.yaxis.categoryarray == ("SAMAR, defaults", "SGD")
    assert "Best mean: SAMAR, defaults, 90.00 %." in figure.layout.meta["alt"]


def test_no_runs_are_said_to_be_none() -> None:
    assert "No final runs" in arms_figure([], "digits_clean").layout.annotations[0].text
    assert "No runs over ρ" in curve_figure([], "x").layout.annotations[0].text


def test_curves() -> None:
    rows = [
        row("sam", 1, 0.5, "tune", rho=0.02),
        row("sam", 1, 0.8, "tune", rho=0.5),
        row("samar_rho", 1, 0.9, "tune", rho=0.02),
    ]
    figure = curve_figure(curves(rows, "digits_clean"), "Digits")
    sam, samar = figure.data
    assert (sam.name, samar.name) == ("SAM", "SAMAR")
    assert list(sam.x) == [0.02, 0.5]
    assert list(sam.y) == pytest.approx([50, 80])
    assert figure.layout.xaxis.type == "log"
    assert "SAM from 50.0 to 80.0 %" in figure.layout.meta["alt"]
