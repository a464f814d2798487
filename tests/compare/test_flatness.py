import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from samar.compare import measuring
from samar.compare.flatness import Point, associations, bootstrap, flatness_report
from samar.compare.measuring import jobs_wanted, known_measures, point_of
from samar.curvature.catalog import MEASURES
from samar.data.evaluation import evaluate
from samar.jobs.job import Job, weights_path
from samar.jobs.service import Jobs
from samar.models.build import build_model
from samar.networks.checkpoint import save_weights
from samar.networks.importing import import_file
from samar.networks.library import ImportedModel
from samar.networks.load import load_network


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
    first = "Measure at least 5 networks first;"
    assert flatness_report(points(4, 1)).sentence == f"{first} 4 are measured so far."
    assert not flatness_report(points(5, 1)).sentence.startswith("Measure")


def test_the_sentence_follows_the_models() -> None:
    good = flatness_report(points(12, 1)).sentence
    assert good.startswith("Flatness predicted generalization here: flatter networks had the")
    assert "by largest eigenvalue h₁ (τ +1.00, +1.00 to +1.00) and 8 other measures; fl" in good
    assert "the higher test accuracy by largest eigenvalue h₁ (τ -1.00" in good
    assert good.endswith("(12 networks, 9 measures tried).")
    bad = flatness_report(points(12, -1)).sentence
    assert bad.startswith("Flatness predicted worse generalization here: sharper networks had the")
    none = flatness_report(points(12, 0, noise=1)).sentence
    assert none.startswith("Flatness was not shown to predict generalization here: no measure was")
    # Perfect order of five has p = 2/120; nine measures were tried, so it is not enough.
    five = flatness_report(points(5, 1)).sentence
    assert five.startswith("Flatness was not shown")
    assert five.endswith("5 networks are few).")
    # The gap grows with sharpness and so does the accuracy: both are said.
    both = [replace(p, test_accuracy=0.5 + p.gap) for p in points(12, 1)]
    assert flatness_report(both).sentence.startswith("Measures of flatness disagree")


@pytest.fixture
def quick(inline: None, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Jobs done at once, on few images."""
    few = measuring.PROTOCOL.changed(images=16, trace_products=6)
    monkeypatch.setattr(measuring, "PROTOCOL", few)
    return Jobs()


def measured(jobs: Jobs, network: Job | ImportedModel) -> dict[str, Any]:
    for settings in jobs_wanted(network):
        assert jobs.get(jobs.submit(settings)).status == "finished"
    found = known_measures(jobs.store, network)
    assert found is not None
    return found


def test_a_network_is_measured_once_and_again_when_its_weights_change(
    recorded: Callable[..., Job], quick: Jobs, samar_home: Path
) -> None:
    run = recorded(weights=True)
    assert known_measures(quick.store, run) is None
    first = measured(quick, run)
    assert set(first["measures"]) == set(MEASURES)
    assert all(math.isfinite(value) for value in first["measures"].values())
    assert first["manifest"]["split"] == "train"
    assert first["manifest"]["run"] == run.id
    assert measured(quick, run) == first
    assert len(quick.all("curvature")) == 1
    point = point_of(run, first)
    assert (point.test_accuracy, point.gap, point.optimizer) == (0.9, 0.05, "sgd")
    quick.rename(run.id, "another name")
    assert known_measures(quick.store, quick.get(run.id)) == first
    torch.manual_seed(1)
    save_weights(build_model("cnn", classes=10, channels=1), weights_path(run.id), {})
    assert known_measures(quick.store, run) is None


def test_an_imported_model_is_a_point_too(recorded: Callable[..., Job], quick: Jobs) -> None:
    """The same weights as a run and as an imported network give the same measures."""
    run = recorded(weights=True)
    model, _ = import_file(weights_path(run.id), dataset="digits", model="cnn", normalize="auto")
    found = measured(quick, model)
    assert found["measures"] == pytest.approx(measured(quick, run)["measures"])
    assert found["test_accuracy"] == pytest.approx(model.accuracy)
    network = load_network(quick.store, run.id)
    train = network.dataset.train.evenly_spaced(2000)
    exact = evaluate(network.model, train, network.dataset.normalization)
    assert found["train_accuracy"] == pytest.approx(exact.accuracy)
    point = point_of(model, found)
    assert point.gap == found["train_accuracy"] - found["test_accuracy"]
    assert (point.id, point.optimizer, point.facts["model"]) == (model.id, "", "cnn")
