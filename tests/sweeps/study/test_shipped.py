"""The shipped table follows the protocol, and bears out what page and README say."""

from pathlib import Path

import pytest

from samar.sweeps.study import protocol
from samar.sweeps.study.coordinator import described
from samar.sweeps.study.protocol import ARMS, CANDIDATES, TASKS
from samar.sweeps.study.rows import SETTINGS, Row, read_rows
from samar.sweeps.study.summary import curves, difference, settings_of
from samar.training.settings import TrainSettings

TABLE = Path(__file__).parents[3] / "assets" / "study" / "results.csv"
OURS = ("rho", "lam", "lam_min", "lam_max", "beta", "lr")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return read_rows(TABLE)


def finals(rows: list[Row], setting: str, arm: str) -> list[Row]:
    return [row for row in rows if (row.setting, row.phase, row.arm) == (setting, "final", arm)]


def test_no_run_is_told_twice(rows: list[Row]) -> None:
    keys = [row.key for row in rows]
    assert len(set(keys)) == len(keys)
    assert TABLE.stat().st_size < 400_000


def test_the_untuned_arm_ran_at_the_present_defaults(rows: list[Row]) -> None:
    """Whoever changes a default has to run the study again, or to say that it was not."""
    default = TrainSettings()
    ours = [row for row in rows if row.arm == "samar" and row.phase == "final"]
    assert ours
    for row in ours:
        assert (row.rule, row.second_pass) == (default.rule, default.second_pass_name)
        constants = (*default.rule_constants, *default.second_pass_constants, *OURS)
        task = TASKS[row.setting].changes
        for name in constants:
            assert getattr(row, name) == pytest.approx(task.get(name, getattr(default, name))), name


def test_the_default_is_the_candidate_that_all_settings_together_choose(rows: list[Row]) -> None:
    best = protocol.best_candidate(rows)
    assert best is not None, "a candidate lacks a run"
    default = TrainSettings()
    for name, value in CANDIDATES[best].items():
        ours = default.second_pass_name if name == "second_pass" else getattr(default, name)
        assert ours == value, name


def test_final_runs_had_what_was_chosen(rows: list[Row]) -> None:
    for row in (row for row in rows if row.phase == "final"):
        best = protocol.chosen(rows, row.setting, row.arm)
        assert best is not None, (row.setting, row.arm)
        for name, value in best.items():
            if name in SETTINGS:
                assert getattr(row, name) == pytest.approx(value), (row.setting, row.arm, name)
        assert ARMS[row.arm].takes_part(row.setting)
        assert row.validation == 0


def test_sgd_learns_photographs_by_heart(rows: list[Row]) -> None:
    """Otherwise the setting would say nothing about generalization; wrong labels take longer."""
    for setting, arm in (("cifar", "sgd"), ("cifar", "sgd_twice"), ("cifar_noise20", "sgd_twice")):
        learnt = [row.train_accuracy for row in finals(rows, setting, arm)]
        assert learnt
        assert sum(learnt) / len(learnt) >= 0.95


def test_candidates_and_trials_can_be_made_again(rows: list[Row]) -> None:
    for phase in ("candidates", "tune"):
        known = {
            described(trial).key
            for setting in TASKS
            for trial in protocol.trials(phase, setting, rows)
        }
        assert {row.key for row in rows if row.phase == phase} <= known


def test_gradients_are_what_the_arms_claim(rows: list[Row]) -> None:
    for setting in settings_of(rows):
        plain = {row.seed: row.grad_evals for row in finals(rows, setting, "sgd")}
        for arm, factor in {"sgd_half": 1.5, "sgd_twice": 2, "sam": 2, "vasso": 2}.items():
            for row in finals(rows, setting, arm):
                if row.seed in plain and row.status == "finished":
                    assert row.grad_evals == pytest.approx(factor * plain[row.seed], rel=0.01)
        for row in finals(rows, setting, "samar"):
            if row.seed in plain:
                assert row.grad_evals < 1.9 * plain[row.seed]


def test_columns_without_effect_are_empty(rows: list[Row]) -> None:
    for row in rows:
        if row.optimizer == "sgd":
            assert all(getattr(row, n) != getattr(row, n) for n in SETTINGS if n != "lr")


def test_accuracy_depends_less_on_the_radius_than_sams(rows: list[Row]) -> None:
    """As the README says of digits with wrong labels."""
    for setting in ("digits_noise20", "digits_noise40"):
        sam, samar = curves(rows, setting)
        assert samar.range < 0.5 * sam.range


def test_what_speaks_against_the_default_is_in_the_table(rows: list[Row]) -> None:
    for setting in ("digits_noise20", "digits_noise40"):
        against = difference(rows, setting, "samar", "sam")
        assert against is not None
        assert against.mean < -0.02


def test_what_the_readme_says_of_photographs(rows: list[Row]) -> None:
    """Close to a tuned SAM for fewer gradients; far ahead of SGD only where labels are wrong."""
    told = {
        ("cifar", "sam"): -0.32,
        ("cifar", "sgd_half"): -0.17,
        ("cifar", "sgd_twice"): -2.38,
        ("cifar_noise20", "sam"): -1.62,
        ("cifar_noise20", "sgd"): 4.05,
        ("cifar_noise20", "sgd_half"): 6.22,
        ("cifar_noise20", "sgd_twice"): 5.35,
    }
    for (setting, arm), points in told.items():
        own, other = (
            {row.seed: row.test_accuracy for row in finals(rows, setting, each)}
            for each in ("samar", arm)
        )
        assert own.keys() == other.keys() == {1, 2, 3}
        found = sum(own[seed] - other[seed] for seed in own) / 3
        assert 100 * found == pytest.approx(points, abs=0.01)
