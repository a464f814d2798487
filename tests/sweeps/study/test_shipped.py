"""The shipped table is whole, follows the protocol, and bears out what page and README say."""

from itertools import groupby
from pathlib import Path

import pytest

from samar.sweeps.study import protocol
from samar.sweeps.study.coordinator import described
from samar.sweeps.study.protocol import ARMS, COMPARED, FINAL_SEEDS, TASKS
from samar.sweeps.study.rows import SETTINGS, Row, read_rows
from samar.sweeps.study.summary import curves, difference, settings_of
from samar.training.presets import PRESETS
from samar.training.settings import TrainSettings

TABLE = Path(__file__).parents[3] / "assets" / "study" / "results.csv"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return read_rows(TABLE)


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
        assert row.rule == default.rule
        for name in (*default.rule_constants, "rho", "lam", "lam_min", "lam_max", "beta", "lr"):
            assert getattr(row, name) == pytest.approx(getattr(default, name)), name


def test_tuned_arms_ran_with_what_validation_chose(rows: list[Row]) -> None:
    for row in (row for row in rows if row.phase == "final"):
        for name, value in (protocol.chosen(rows, row.setting, row.arm) or {}).items():
            assert getattr(row, name) == pytest.approx(value)
        assert ARMS[row.arm].takes_part(row.setting)
        assert row.validation == 0


def test_every_setting_has_the_arms_that_the_target_is_about(rows: list[Row]) -> None:
    assert settings_of(rows) == list(COMPARED)
    for setting in COMPARED:
        seeds = FINAL_SEEDS[TASKS[setting].family]
        for arm in ("sgd", "sam_default", "sam", "samar", "samar_old"):
            found = {
                row.seed
                for row in rows
                if (row.setting, row.phase, row.arm) == (setting, "final", arm)
            }
            expected = set(seeds) if ARMS[arm].takes_part(setting) else set()
            assert found == expected, (setting, arm)


@pytest.mark.parametrize("setting", ["cifar", "cifar_full"])
def test_sgd_learns_photographs_by_heart(rows: list[Row], setting: str) -> None:
    """Otherwise the setting would say nothing about generalization."""
    learnt = [
        row.train_accuracy
        for row in rows
        if (row.setting, row.phase, row.arm) == (setting, "final", "sgd")
    ]
    assert sum(learnt) / len(learnt) > 0.95


def test_the_preset_for_photographs_has_the_radius_that_the_study_chose(rows: list[Row]) -> None:
    found = protocol.chosen(rows, "cifar_full", "samar_rho")
    assert found == {"rho": PRESETS["cifar10"].config().rho}


def test_what_speaks_against_the_defaults_is_in_the_table(rows: list[Row]) -> None:
    for setting in ("digits_noise20", "digits_noise40"):
        assert difference(rows, setting, "samar", "samar_old").mean < 0
    assert difference(rows, "digits_noise40", "samar", "trend").mean < 0
    assert difference(rows, "cifar", "samar", "samar_old").low > 0
    full = [row for row in rows if (row.setting, row.phase) == ("cifar_full", "final")]
    for arm in ("sam", "vasso", "sgd"):
        assert difference(rows, "cifar_full", "samar", arm).mean < -0.02
    defaults = [row for row in full if row.arm == "samar"]
    assert all(row.train_accuracy < 0.75 and 0.6 < row.lam_mean < 0.8 for row in defaults)
    assert all(row.lam_mean > 1.5 for row in full if row.arm == "samar_rho")
    for arm in ("sgd", "sam", "vasso", "samar"):
        assert difference(rows, "cifar_full", "samar_rho", arm).mean > 0.005
    assert difference(rows, "cifar_full", "samar_rho", "sgd_twice").mean < 0
    long = {row.arm: row for row in rows if row.setting == "digits_long"}
    ours = long["trend_power20_ceiling10"]
    assert ours.lam_last < 0.3
    assert ours.test_accuracy < 0.75 < long["trend"].test_accuracy


def test_sam_varies_more_over_rho(rows: list[Row]) -> None:
    for setting in ("cifar", "digits_noise40"):
        sam, samar = curves(rows, setting)
        assert samar.range < 0.6 * sam.range
    assert all(
        ours.mean > sams.mean for ours, sams in zip(samar.test[:-1], sam.test[:-1], strict=True)
    )


def test_what_was_explored_can_be_run_again(rows: list[Row]) -> None:
    known = {
        described(trial).key for setting in TASKS for trial in protocol.trials("explore", setting)
    }
    explored = [row for row in rows if row.phase == "explore"]
    assert {row.key for row in explored} == known
    (swinging,) = {
        row.lam_last
        for row in explored
        if row.arm == "trend_symmetric" and row.rho == 0.2 and row.setting == "digits_noise40"
    }
    assert swinging > 10


def test_arms_of_one_seed_saw_the_same_number_of_gradients_where_that_is_claimed(
    rows: list[Row],
) -> None:
    finals = [row for row in rows if row.phase == "final"]
    finals.sort(key=lambda row: (row.setting, row.seed))
    for _, group in groupby(finals, key=lambda row: (row.setting, row.seed)):
        evals = {row.arm: row.grad_evals for row in group}
        if "sgd_twice" in evals:
            assert evals["sgd_twice"] == evals["sam"] == evals["samar"] == 2 * evals["sgd"]


def test_columns_without_effect_are_empty(rows: list[Row]) -> None:
    for row in rows:
        if row.optimizer == "sgd":
            assert all(getattr(row, n) != getattr(row, n) for n in SETTINGS if n != "lr")
