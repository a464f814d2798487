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
from samar.errors import RunError
from samar.jobs.job import Job, weights_path
from samar.jobs.service import Jobs
from samar.jobs.store import Store
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
    first = "Measure at least 5 networks first;"
    assert flatness_report([]).sentence == f"{first} 0 are measured so far."
    assert flatness_report(points(1, 1)).sentence == f"{first} 1 is measured so far."
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
    assert "flatter networks had the smaller gap by trace (τ +1.00" in report.sentence
    assert "other measure" not in report.sentence
    assert report.gap["trace"].sign == 1


def test_sets_that_mix_what_should_be_equal_are_warned_of() -> None:
    mixed = points(6, 1, dataset="digits", label_noise=0.0)
    mixed += points(6, 1, dataset="cifar10", label_noise=0.4)
    warnings = flatness_report(mixed).warnings
    assert "mixes 2 data sets, 2 shares of wrong labels" in warnings[0]
    assert "label noise read the test accuracy" in warnings[1]
    assert flatness_report(points(6, 1, dataset="digits", label_noise=0.0)).warnings == ()


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


def test_the_protocol_is_that_of_the_numbers_before() -> None:
    """What was measured by 0.1 stays comparable."""
    values = {name: getattr(measuring.PROTOCOL, name) for name in ("top", "tol", "images", "split")}
    assert values == {"top": 5, "tol": 0.01, "images": 128, "split": "train"}
    assert (measuring.PROTOCOL.trace_products, measuring.PROTOCOL.max_products) == (15, 150)
    assert (measuring.PROTOCOL.rho, measuring.PROTOCOL.seed) == (0.05, 0)


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

    (job,) = quick.all("curvature")
    report = samar_home / "runs" / job.id / "report.json"
    kept = report.read_bytes()
    report.write_text("{", encoding="utf-8")  # cut off by a full disk
    assert known_measures(quick.store, run) is None
    report.write_bytes(kept)
    assert known_measures(quick.store, run) == first
    torch.manual_seed(1)
    save_weights(build_model("cnn", classes=10, channels=1), weights_path(run.id), {})
    assert known_measures(quick.store, run) is None


def test_a_run_without_weights_cannot_be_measured(recorded: Callable[..., Job]) -> None:
    run = recorded()
    assert known_measures(Store(), run) is None
    with pytest.raises(RunError, match=f"Run {run.id} has no weights from its end"):
        jobs_wanted(run)
    early = recorded(done=0)
    with pytest.raises(RunError, match="ended before its first epoch"):
        point_of(early, {"measures": {}})


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
