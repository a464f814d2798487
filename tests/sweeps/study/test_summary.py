"""Tables, paired differences and the target, against numbers worked out by hand."""

import math
from dataclasses import replace

import pytest

from samar.sweeps.study.coordinator import described
from samar.sweeps.study.markdown import arms, findings, report
from samar.sweeps.study.protocol import CANDIDATES, TASKS, Trial, config_of, trials
from samar.sweeps.study.rows import Row, append_row, as_csv, read_rows
from samar.sweeps.study.summary import candidates, curves, difference, results, verdicts


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
    assert list(found) == ["sam", "sam_default", "samar"]
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


def test_the_goal(rows: list[Row]) -> None:
    rows += [row("vasso", 1, 0.85, rho=0.2), row("vasso", 2, 0.86, rho=0.2)]
    rows[5] = replace(rows[5], test_accuracy=0.932)
    (verdict,) = verdicts(rows)
    assert verdict.best == "sam"
    assert verdict.against_best.mean == pytest.approx(-0.004)
    assert verdict.against_sgd is None
    assert verdict.met
    rows[5] = replace(rows[5], test_accuracy=0.92)
    (verdict,) = verdicts(rows)
    assert verdict.against_best.mean == pytest.approx(-0.01)
    assert not verdict.met


def test_sgd_is_given_at_least_as_many_gradients(rows: list[Row]) -> None:
    rows = [replace(each, grad_evals=140) for each in rows]
    for arm, spent, test in (
        ("sgd", 100, 0.7),
        ("sgd_half", 150, 0.98),
        ("sgd_twice", 200, 0.6),
    ):
        rows += [replace(row(arm, seed, test), grad_evals=spent) for seed in (1, 2)]
    (verdict,) = verdicts(rows)
    assert verdict.price == pytest.approx(1.4)
    assert verdict.against_sgd is not None
    arm, against = verdict.against_sgd
    assert arm == "sgd_half"
    assert against.mean == pytest.approx((0.88 + 0.93) / 2 - 0.98)
    assert not verdict.met


def test_flatness_is_held_against_sams_spread(rows: list[Row]) -> None:
    values = {("sam", 1): 10.0, ("sam", 2): 14.0, ("samar", 1): 14.0, ("samar", 2): 15.0}
    rows = [replace(each, lambda_max=values.get((each.arm, each.seed), math.nan)) for each in rows]
    (verdict,) = verdicts(rows)
    assert verdict.flatness == pytest.approx(14.5 / 12)
    assert verdict.flat  # 14.5 is within 12 ± 2.83
    rows[5] = replace(rows[5], lambda_max=20.0)
    assert verdicts(rows)[0].flat is False


def test_a_diverged_run_counts_as_nothing_learnt(rows: list[Row]) -> None:
    rows[0] = replace(rows[0], status="diverged", test_accuracy=math.nan, gap=math.nan)
    sam = next(result for result in results(rows, "digits_clean") if result.arm == "sam")
    assert sam.diverged == 1
    assert sam.test.mean == pytest.approx(0.46)
    assert sam.gap == pytest.approx(0.08)


def test_curves_over_rho() -> None:
    found = curves(
        [
            row("sam", 1, 0.9, "tune", rho=0.5),
            row("sam", 2, 0.7, "tune", rho=0.5),
            row("sam", 1, 0.5, "tune", rho=0.02),
            row("samar_rho", 1, 0.9, "tune", rho=0.02),
        ],
        "digits_clean",
    )
    sam, samar = found
    assert (sam.arm, samar.arm) == ("sam", "samar_rho")
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


def test_the_report_names_every_arm_and_the_goal(rows: list[Row]) -> None:
    text = report(rows)
    assert TASKS["digits_clean"].title in text
    assert "| SAM, ρ tuned | 91.00 ± 1.41 |" in text
    assert "best tuned arm of SAM's kind −0.5 points on average of 1 settings" in text


def test_a_missed_goal_is_said(rows: list[Row]) -> None:
    rows[5] = replace(rows[5], test_accuracy=0.91)
    told = findings(rows)
    assert "−1.5 points on average" in told[0]
    assert "More than half a point behind on: Digits, right labels." in told
    assert findings([]) == ["The table has no final runs of SAMAR and an arm to compare it with."]


def test_what_a_late_decay_is_worth_is_said(rows: list[Row]) -> None:
    assert not any("decaying as late" in sentence for sentence in findings(rows))
    rows.append(replace(rows[5], arm="samar_hold", schedule="hold_cosine", test_accuracy=0.99))
    (told,) = (sentence for sentence in findings(rows) if "decaying as late" in sentence)
    assert "against itself: Digits, right labels +6.0." in told
    assert told.endswith("SAM's kind: Digits, right labels +7.0.")


def test_candidates_are_listed_with_validation_accuracy() -> None:
    made = [
        replace(
            described(trial),
            status="finished",
            val_accuracy=0.6 if trial.arm == "trend_3" else 0.5,
            grad_evals=200 if trial.arm == "version_01" else 130,
        )
        for trial in trials("candidates", "digits_clean")
    ]
    lines = candidates(made)
    assert len(lines) == len(CANDIDATES)
    assert lines[0][TASKS["digits_clean"].title] == lines[0]["mean"] == "60.0"
    assert lines[0]["gradients a step"] == "1.30"
    assert lines[0]["candidate"].startswith("SAMAR, Trend, power law, second gradient with chance")


def test_a_run_that_diverged_is_no_measure_of_the_price(rows: list[Row]) -> None:
    rows = [replace(row, grad_evals=1000, seconds=10.0) for row in rows if row.arm == "sam"]
    cut = replace(rows[0], seed=3, status="diverged", grad_evals=13, seconds=0.1)
    (found,) = results([*rows, cut], "digits_clean")
    assert (found.grad_evals, found.seconds, found.diverged) == (1000, 10, 1)
    lost = [
        replace(row, status="diverged", train_accuracy=math.nan, gap=math.nan, seconds=math.nan)
        for row in rows
    ]
    (line,) = arms(lost, "digits_clean")
    assert (line["train %"], line["gradients"], line["s"]) == ("", "", "")
