"""What a sweep says, against numbers worked out by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from samar.sweeps.results import (
    SettingResult,
    best_by_validation,
    best_of_each_arm,
    by_task,
    curves,
    edited_sentence,
    heat_map,
    paired_differences,
    results,
)
from samar.sweeps.service import Sweeps
from samar.sweeps.spec import SweepSpec
from samar.sweeps.statistics import mean_std, t_interval

GRID = {"optimizer": ("sgd", "sam"), "rho": (0.1, 0.2)}


def ended(sweeps: Sweeps, end: Callable[..., None], spec: SweepSpec, figures: dict) -> list:
    """Results of a sweep whose members end with ``figures[label, seed] = (val, test)``."""
    sweep = sweeps.get(sweeps.jobs.submit(spec))
    for run in sweeps.members(sweep):
        found = figures.get((spec.label(run.settings), run.settings.seed))
        if found is not None:
            end(run, *found)
    return results(spec, sweeps.members(sweep))


SGD, SAM1, SAM2 = "SGD", "SAM · radius ρ 0.1", "SAM · radius ρ 0.2"
FIGURES = {
    (SGD, 0): (0.70, 0.80),
    (SGD, 1): (0.72, 0.84),
    (SGD, 2): (0.74, 0.82),
    (SAM1, 0): (0.75, 0.83),
    (SAM1, 1): (0.79, 0.85),
    (SAM1, 2): (0.77, 0.87),
    # Better on the test images, worse on the held-out ones: must not be chosen.
    (SAM2, 0): (0.72, 0.93),
    (SAM2, 1): (0.73, 0.95),
    (SAM2, 2): (0.74, 0.94),
}


@pytest.fixture
def found(sweeps: Sweeps, end: Callable[..., None]) -> list[SettingResult]:
    return ended(sweeps, end, SweepSpec(grid=GRID), FIGURES)


def test_means_over_seeds_and_the_best_is_chosen_by_validation_not_by_test(
    found: list[SettingResult],
) -> None:
    sgd = found[0]
    assert (sgd.label, sgd.val.n, sgd.complete) == (SGD, 3, True)
    assert (sgd.val.mean, sgd.val.std) == pytest.approx((0.72, 0.02))
    assert (sgd.test.mean, sgd.test.std) == pytest.approx((0.82, 0.02))
    assert (sgd.gap.mean, sgd.gap.std) == pytest.approx((0.08, 0.02))
    assert sgd.row()["val_mean"] == pytest.approx(0.72)
    assert sgd.row()["rho"] is None
    best = best_by_validation(found)
    assert best is not None
    assert best.label == SAM1
    assert max(found, key=lambda r: r.test.mean).label == SAM2
    assert [r.label for r in best_of_each_arm(found)] == [SGD, SAM1]


def test_paired_differences_with_students_interval_and_the_heat_map(
    found: list[SettingResult],
) -> None:
    sgd, sam, _ = found
    (difference, _) = paired_differences(found, sgd)
    by_seed = np.array([0.03, 0.01, 0.05])
    assert list(difference.values) == [0, 1, 2]
    assert list(difference.values.values()) == pytest.approx(by_seed)
    interval = difference.interval
    oracle = stats.ttest_rel([0.83, 0.85, 0.87], [0.80, 0.84, 0.82]).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((oracle.low, oracle.high))
    # By hand: mean 0.03, deviation 0.02, t(0.975, 2) = 4.302653
    assert interval.high == pytest.approx(0.03 + 4.302653 * 0.02 / math.sqrt(3))
    (back, _) = paired_differences([sgd, found[2]], sam, "val")
    assert back.interval.mean == pytest.approx(-0.05)
    heat = heat_map(found, "rho", "optimizer")
    assert (heat.columns, heat.rows) == (("0.1", "0.2"), ("SGD", "SAM"))
    labels = [[cell.label if cell else None for cell in row] for row in heat.cells]
    assert labels == [[SGD, SGD], [SAM1, SAM2]]  # ρ has no effect on SGD: it fills its row
    lines = curves(found, "rho")
    assert [[p.values["rho"] for p in points] for points in lines.values()] == [[None], [0.1, 0.2]]


def test_a_setting_with_a_missing_seed_is_not_the_best(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    partial = {key: figures for key, figures in FIGURES.items() if key != (SAM1, 2)}
    found = ended(sweeps, end, SweepSpec(grid=GRID), partial)
    best = best_by_validation(found)
    assert best is not None
    assert best.label == SAM2
    sam = found[1]
    assert (sam.test.n, sam.complete) == (2, False)
    (difference, _) = paired_differences(found, found[0])
    assert list(difference.values) == [0, 1]


def test_other_images_are_another_comparison(sweeps: Sweeps, end: Callable[..., None]) -> None:
    spec = SweepSpec(grid={"label_noise": (0.0, 0.4), "optimizer": ("sgd", "sam")}, seeds=1)
    sweep = sweeps.get(sweeps.jobs.submit(spec))
    for run in sweeps.members(sweep):
        end(run, 0.9 - run.settings.label_noise)
    tasks = by_task(results(spec, sweeps.members(sweep)))
    assert [len(task) for task in tasks.values()] == [2, 2]
    found = [result for task in tasks.values() for result in task]
    assert len(paired_differences(found, found[0])) == 1


def test_an_edited_run_is_not_counted_as_its_settings(
    sweeps: Sweeps, end: Callable[..., None]
) -> None:
    spec = SweepSpec(grid={"rho": (0.1, 0.2)}, seeds=2, base={"validation": 0.1})
    sweep = sweeps.get(sweeps.jobs.submit(spec))
    members = sweeps.members(sweep)
    for run in members:
        edited = run is members[0]
        end(run, 0.9 if edited else 0.5, 0.5, edits=int(edited))
    first, second = results(spec, sweeps.members(sweep))
    assert (first.val.n, first.val.mean, first.complete, first.edited) == (1, 0.5, False, 1)
    assert (second.val.n, second.complete, second.row()["edited"]) == (2, True, 0)
    assert best_by_validation([first, second]) is second
    assert edited_sentence([first, second]) == "1 run edited while training, so not counted."
    assert edited_sentence([second]) == ""


def test_what_is_undefined_is_nan() -> None:
    one = t_interval([0.5])
    assert one.mean == 0.5
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    none, odd = mean_std([]), mean_std([0.5, math.nan])
    assert (none.n, odd.n, none.percent, odd.percent) == (0, 2, "", "")
    assert mean_std([0.5]).percent == "50.00"
    assert mean_std([0.5, 0.6]).percent == "55.00 ± 7.07"
