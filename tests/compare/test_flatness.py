import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from samar.compare.association import associations, bootstrap
from samar.compare.flatness import Point, flatness_report
from samar.compare.measuring import known_measures, measured, point_of
from samar.curvature.catalog import MEASURES
from samar.errors import RunError
from samar.jobs.files import weights_path
from samar.jobs.job import Job
from samar.networks.importing import import_file


def test_kendall_and_its_bootstrap_against_scipy() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=12).round(1)  # with ties
    y = (x + random.normal(size=12)).round(1)
    found = associations(x.tolist(), y.tolist(), seed=7)
    tau, p = kendalltau(x, y)
    assert (found.tau, found.p, found.n) == (pytest.approx(tau), pytest.approx(p), 12)

    # The same resamples one by one: the draws are counts of a multinomial.
    counts = np.random.default_rng(7).multinomial(12, np.full(12, 1 / 12), 2000)
    picks = [np.repeat(np.arange(12), count) for count in counts[:200]]
    slow = [kendalltau(x[pick], y[pick]).statistic for pick in picks]
    assert bootstrap(x, y, seed=7)[:200] == pytest.approx(slow)
    full = bootstrap(x, y, seed=7)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(full, (0.025, 0.975))))


def test_the_interval_is_the_same_each_time_and_changes_with_the_seed() -> None:
    x, y = list(range(9)), [3, 1, 2, 5, 4, 7, 6, 9, 8]
    assert associations(x, y) == associations(x, y)
    assert associations(x, y).low != associations(x, y, seed=1).low


def test_what_was_not_measured_is_left_out() -> None:
    found = associations([1, None, 3, 4, math.nan], [1, 9, 2, 3, 9])
    assert (found.tau, found.n) == (1, 3)
    assert math.isnan(associations([1.0], [1.0]).tau)
    constant = associations([2, 2, 2], [1, 2, 3])
    assert math.isnan(constant.tau)
    assert constant.sign == 0


def points(count: int, sharp_is_bad: float, noise: float = 0.0, **facts: object) -> list[Point]:
    """Models whose gap grows (1) or falls (−1) with every measure, or by chance (0)."""
    random = np.random.default_rng(0)
    made = []
    for number in range(count):
        gap = sharp_is_bad * number / 100 + noise * random.normal()
        measures = {name: float(number + 1) for name in MEASURES}
        made.append(Point(str(number), f"m{number}", gap, 0.9 - gap, measures, dict(facts)))
    return made


def test_fewer_than_five_models_say_nothing() -> None:
    assert flatness_report([]).sentence.startswith("Too few models: 0 models")
    assert flatness_report(points(1, 1)).sentence.startswith("Too few models: 1 model;")
    assert flatness_report(points(4, 1)).sentence.startswith("Too few models: 4 models")
    assert not flatness_report(points(12, 1)).sentence.startswith("Too few")


def test_the_sentence_follows_the_models() -> None:
    good = flatness_report(points(12, 1)).sentence
    assert good.startswith("Flatness predicted generalization here: flatter models had the smaller")
    assert "by λ_max (τ +1.00, +1.00 to +1.00) and 8 other measures; flatter models had" in good
    assert "the higher test accuracy by λ_max (τ -1.00" in good
    assert good.endswith("(12 models, 9 measures tried).")
    bad = flatness_report(points(12, -1)).sentence
    assert bad.startswith("Flatness predicted worse generalization here: sharper models had the")
    none = flatness_report(points(12, 0, noise=1)).sentence
    assert none.startswith("Flatness was not shown to predict generalization here: no measure was")
    # Perfect order of five has p = 2/120; nine measures were tried, so it is not enough.
    five = flatness_report(points(5, 1)).sentence
    assert five.startswith("Flatness was not shown")
    assert five.endswith("5 models are few).")
    # The gap grows with sharpness and so does the accuracy: both are said.
    both = [replace(p, test_accuracy=0.5 + p.gap) for p in points(12, 1)]
    assert flatness_report(both).sentence.startswith("Measures of flatness disagree")


def test_one_measure_among_nine() -> None:
    random = np.random.default_rng(3)
    made = [
        Point(
            str(n),
            "",
            n / 100,
            0.5 + 0.01 * random.normal(),
            {name: float(n if name == "trace" else random.normal()) for name in MEASURES},
        )
        for n in range(12)
    ]
    report = flatness_report(made)
    assert "flatter models had the smaller gap by trace (τ +1.00" in report.sentence
    assert "other measure" not in report.sentence
    assert report.gap["trace"].sign == 1


def test_sets_that_mix_what_should_be_equal_are_warned_of() -> None:
    mixed = points(6, 1, dataset="digits", label_noise=0.0)
    mixed += points(6, 1, dataset="cifar10", label_noise=0.4)
    warnings = flatness_report(mixed).warnings
    assert "mixes 2 data sets, 2 shares of wrong labels" in warnings[0]
    assert "label noise read the test accuracy" in warnings[1]
    assert flatness_report(points(6, 1, dataset="digits", label_noise=0.0)).warnings == ()


def test_a_network_is_measured_once_and_again_when_its_weights_change(
    recorded: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, samar_home: Path
) -> None:
    monkeypatch.setattr("samar.compare.measuring.IMAGES", 16)
    monkeypatch.setattr("samar.compare.measuring.TRACE_PRODUCTS", 6)
    run = recorded(weights=True)
    assert known_measures(run) is None
    heard: list[str] = []
    first = measured(run, heard.append)
    assert set(first["measures"]) == set(MEASURES)
    assert all(math.isfinite(value) for value in first["measures"].values())
    assert first["manifest"]["split"] == "train"
    assert heard

    def never(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("samar.compare.measuring._measure", never)
    assert measured(run) == first == known_measures(run)
    point = point_of(run, first)
    assert (point.test_accuracy, point.gap, point.optimizer) == (0.9, 0.05, "sgd")

    (kept,) = (samar_home / "sharpness").iterdir()
    kept.write_text("{", encoding="utf-8")  # cut off by a full disk
    assert known_measures(run) is None
    weights = samar_home / "runs" / run.id / "weights.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    assert known_measures(run) is None


def test_a_run_without_weights_cannot_be_measured(recorded: Callable[..., Job]) -> None:
    run = recorded()
    with pytest.raises(RunError, match=f"Run {run.id} has no weights from its end"):
        measured(run)
    early = recorded(done=0)
    with pytest.raises(RunError, match="ended before its first epoch"):
        point_of(early, {"measures": {}})


def test_an_imported_model_is_a_point_too(
    recorded: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same weights as a run and as an imported model give the same measures."""
    monkeypatch.setattr("samar.compare.measuring.IMAGES", 16)
    monkeypatch.setattr("samar.compare.measuring.TRACE_PRODUCTS", 6)
    monkeypatch.setattr("samar.compare.measuring.EIGENVALUES", 1)
    monkeypatch.setattr("samar.compare.measuring.TOLERANCE", 0.5)
    run = recorded(weights=True)
    model, _ = import_file(weights_path(run.id), dataset="digits", model="cnn", normalize="auto")
    found = measured(model)
    assert found["measures"] == pytest.approx(measured(run)["measures"])
    assert found["test_accuracy"] == pytest.approx(model.accuracy)
    point = point_of(model, found)
    assert point.gap == found["train_accuracy"] - found["test_accuracy"]
    assert (point.id, point.optimizer, point.facts["model"]) == (model.id, "", "cnn")
