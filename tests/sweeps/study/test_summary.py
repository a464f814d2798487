"""Tables, paired differences and the target, against numbers worked out by hand."""

import math
from dataclasses import replace

import pytest

from samar.sweeps.study.coordinator import described
from samar.sweeps.study.markdown import findings, report
from samar.sweeps.study.protocol import TASKS, Trial, config_of
from samar.sweeps.study.rows import Row, append_row, as_csv, read_rows
from samar.sweeps.study.summary import (
    curves,
    difference,
    explored,
    results,
    verdicts,
)


def row(arm: str, seed: int, test: float, phase: str = "final", **values: float) -> Row:
    config = config_of("digits_clean", arm, seed=seed, chosen=values)
    blank = described(Trial("digits_clean", phase, arm, config))
    return replace(blank, status="finished", test_accuracy=test, train_accuracy=1.0, gap=1.0 - test)


@pytest.fixture
def rows() -> list[Row]:
    return [
        row("sam", 1, 0.90, rho=0.2),
        row("sam", 2, 0.92, rho=0.2),
        row("sam_default", 1, 0.80),
        row("sam_default", 2, 0.81),
        row("samar", 1, 0.88),
        row("samar", 2, 0.93),
        row("samar", 3, 0.10),
    ]


def test_results(rows: list[Row]) -> None:
    found = {result.arm: result for result in results(rows, "digits_clean")}
    assert list(found) == ["sam_default", "sam", "samar"]
    sam = found["sam"]
    assert sam.seeds == 2
    assert sam.test.mean == pytest.approx(0.91)
    assert sam.test.std == pytest.approx(0.02 / math.sqrt(2))
    assert sam.gap == pytest.approx(0.09)
    assert math.isnan(sam.lambda_max)
    assert sam.chosen == "SAM, ρ 0.2, η 0.05"


def test_differences_are_paired_by_seed(rows: list[Row]) -> None:
    found = difference(rows, "digits_clean", "samar", "sam")
    assert found.n == 2
    assert found.mean == pytest.approx(-0.005)
    # The pairs are −0.02 and +0.01: a deviation of 0.03 / √2, over √2, times 12.7062.
    assert found.high - found.mean == pytest.approx(12.7062047 * 0.03 / 2)
    assert found.mean - found.low == pytest.approx(12.7062047 * 0.03 / 2)
    assert difference(rows, "digits_clean", "samar", "vasso") is None


def test_the_target(rows: list[Row]) -> None:
    (verdict,) = verdicts(rows)
    assert verdict.met
    assert verdict.against_default.mean == pytest.approx(0.10)
    worse = [*rows[:5], replace(rows[5], test_accuracy=0.91), rows[6]]
    (verdict,) = verdicts(worse)
    assert verdict.against_tuned.mean == pytest.approx(-0.015)
    assert not verdict.met


def test_a_diverged_run_counts_as_nothing_learnt(rows: list[Row]) -> None:
    rows[0] = replace(rows[0], status="diverged", test_accuracy=math.nan, gap=math.nan)
    sam = next(result for result in results(rows, "digits_clean") if result.arm == "sam")
    assert sam.diverged == 1
    assert sam.test.mean == pytest.approx(0.46)
    assert sam.gap == pytest.approx(0.08)


def test_curves_over_rho() -> None:
    found = curves(
        [
            row("sam_default", 1, 0.9, "curve", rho=0.5),
            row("sam_default", 2, 0.7, "curve", rho=0.5),
            row("sam_default", 1, 0.5, "curve", rho=0.02),
            row("samar", 1, 0.9, "curve", rho=0.02),
        ],
        "digits_clean",
    )
    sam, samar = found
    assert (sam.arm, samar.arm) == ("sam_default", "samar")
    assert sam.rho == (0.02, 0.5)
    assert [found.mean for found in sam.test] == pytest.approx([0.5, 0.8])
    assert [found.n for found in sam.test] == [1, 2]
    assert sam.range == pytest.approx(0.3)
    assert samar.range == 0.0


def test_a_table_survives_the_file(rows: list[Row], tmp_path) -> None:
    path = tmp_path / "deep" / "rows.csv"
    for each in rows:
        append_row(path, each)
    again = read_rows(path)
    assert [r.key for r in again] == [r.key for r in rows]
    assert [r.test_accuracy for r in again] == [r.test_accuracy for r in rows]
    assert path.read_text(encoding="utf-8") == as_csv(rows)


def test_the_report_names_every_arm_and_the_target(rows: list[Row]) -> None:
    text = report(rows)
    assert TASKS["digits_clean"].title in text
    assert "| SAM, ρ tuned | 91.00 ± 1.41 |" in text
    assert "Within one point of tuned SAM on 1 of 1 settings." in text
    assert "Against SAM at the same ρ: Digits, right labels +10.0 [" in text


def test_a_missed_target_is_said(rows: list[Row]) -> None:
    rows[5] = replace(rows[5], test_accuracy=0.91)
    told = findings(rows)
    assert told[0] == "Within one point of tuned SAM on 0 of 1 settings."
    assert told[1].startswith("Missed on: Digits, right labels (−1.5 [")


def test_what_was_explored_is_listed_with_validation_accuracy() -> None:
    one = replace(row("samar", 0, 0.9, "explore"), arm="trend_floor", val_accuracy=0.6)
    (line,) = explored([one])
    assert line["validation, %"] == "60.0"
    assert line["setting"] == TASKS["digits_clean"].title
