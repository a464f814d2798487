from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from samar.compare.groups import (
    NOT_USED,
    Curve,
    differences,
    group_by_seed,
    mean_curve,
)
from samar.compare.metrics import curve_of
from samar.jobs.job import Job
from samar.jobs.records import Event
from samar.jobs.store import Store
from samar.training.settings import TrainSettings


def curve(step: list[float], y: list[float], pace: float = 1.0) -> Curve:
    at = np.array(step)
    return Curve(at, pace * at, np.array(y))


def test_mean_and_standard_deviation_at_equal_steps() -> None:
    found = mean_curve([curve([1, 2], [1, 4]), curve([1, 2], [3, 8]), curve([1, 2], [5, 9])])
    assert found.mean.tolist() == [3, 7]
    assert found.std == pytest.approx([2, np.std([4, 8, 9], ddof=1)])
    assert found.n.tolist() == [3, 3]


def test_steps_between_are_interpolated_and_ends_are_not() -> None:
    """One run recorded steps 1, 3, 5; the other 2, 3, 4: by hand."""
    found = mean_curve([curve([1, 3, 5], [10, 30, 50]), curve([2, 3, 4], [0, 10, 20])])
    assert found.x.tolist() == [1, 2, 3, 4, 5]
    assert found.mean.tolist() == [10, 10, 20, 30, 50]
    assert found.n.tolist() == [1, 2, 2, 2, 1]
    assert found.std[1:4] == pytest.approx(np.std([[20, 30, 40], [0, 10, 20]], axis=0, ddof=1))
    assert np.isnan(found.std[[0, 4]]).all()


def test_seeds_of_one_setting_are_a_group(recorded: Callable[..., Job]) -> None:
    runs = [
        recorded(optimizer="sam", rho=0.1, seed=1, name="b"),
        recorded(optimizer="sam", rho=0.1, seed=0, name="a"),
        recorded(optimizer="sam", rho=0.2, seed=0),
        recorded(optimizer="sgd", rho=0.1, seed=0),
        recorded(optimizer="sgd", rho=0.9, seed=1),  # SGD has no radius
    ]
    groups = group_by_seed(runs)
    seeds = [[run.settings.seed for run in group.runs] for group in groups]
    assert seeds == [[0, 1], [0], [0, 1]]
    assert [group.title for group in groups] == [
        "SAM, ρ 0.1 · 2 seeds",
        "#3 SAM, ρ 0.2",
        "SGD · 2 seeds",
    ]


def test_an_edited_run_stays_alone_and_says_so(recorded: Callable[..., Job]) -> None:
    runs = [recorded(seed=seed) for seed in range(3)]
    runs[1] = replace(runs[1], summary={"edits": 2})
    groups = group_by_seed(runs)
    assert ["edited 2×" in group.title for group in groups] == [False, True]
    assert [[run.id for run in group.runs] for group in groups] == [
        [runs[0].id, runs[2].id],
        [runs[1].id],
    ]


def test_curves_come_in_shown_units_over_any_axis(recorded: Callable[..., Job]) -> None:
    run = recorded(optimizer="sam")
    series = Store().records
    steps, epochs = series.steps(run.key), series.epochs(run.key)
    accuracy = curve_of("test_accuracy", "grad_evals", steps, epochs, [])
    assert accuracy.y == pytest.approx([30, 60, 90])
    assert accuracy.x.tolist() == [8, 16, 24]
    assert accuracy.step.tolist() == [4, 8, 12]
    assert curve_of("loss", "step", steps, epochs, []).y == pytest.approx(2 / np.arange(1, 13))
    for absent in ("lam", "val_accuracy", "lambda_max"):
        assert curve_of(absent, "step", steps, epochs, []).y.size == 0
    detail = {"values": [5.0, 2.0, 1.0], "trace": 9.0}
    looks = [Event(8, "curvature", detail, 0.0), Event(8, "change", {"lr": 1}, 0.0)]
    found = curve_of("lambda_max", "seconds", steps, epochs, looks)
    assert (found.step.tolist(), found.y.tolist()) == ([8], [5])
    assert found.x == pytest.approx([0.8])
    assert curve_of("trace", "step", steps, epochs, looks).y.tolist() == [9]


def test_only_what_differs_and_has_an_effect() -> None:
    configs = [
        TrainSettings(optimizer="sgd", rho=0.1, name="one", lam_max=5),
        TrainSettings(optimizer="sam", rho=0.1, lam_max=6),
        TrainSettings(optimizer="sam", rho=0.2, images_per_class=10),
    ]
    assert differences(configs) == {
        "optimizer": ["sgd", "sam", "sam"],
        "rho": [NOT_USED, 0.1, 0.2],
        "images_per_class": [None, None, 10],
    }
