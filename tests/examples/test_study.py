"""The study's script makes rows by its protocol, and its tables follow from the rows."""

import math
import sys
from pathlib import Path

import pandas as pd
import pytest

from samar.training.settings import TrainSettings
from tests.inline import jobs_at

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "assets" / "study"
sys.path.insert(0, str(ROOT / "examples" / "study"))
import study  # noqa: E402
import tables  # noqa: E402
from study import ARMS, CANDIDATES, TASKS  # noqa: E402

DEFAULT = TrainSettings()


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return study.read(SHIPPED / "results.csv")


def final(rows: pd.DataFrame, setting: str, arm: str) -> pd.DataFrame:
    return rows[(rows.setting == setting) & (rows.phase == "final") & (rows.arm == arm)]


def test_the_script_runs_the_arms_and_adds_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = study.Task("tiny", {"epochs": 2, "images_per_class": 2, "batch_size": 8}, seeds=1)
    sgd = study.Arm("SGD", study.SGD, ("lr", (0.05, 0.1)))
    monkeypatch.setattr(study, "TASKS", {"digits": tiny})
    monkeypatch.setattr(study, "ARMS", {"sgd": sgd, "samar": ARMS["samar"]})
    monkeypatch.setattr(study, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(study, "CURVATURE", {**study.CURVATURE, "images": 16, "trace_products": 6})
    table = tmp_path / "rows.csv"
    with jobs_at(tmp_path) as jobs:
        for _ in range(2):  # the second time nothing is left to do
            study.main(["--out", str(table), "--phase", "tune", "final"])
        made = study.read(table)
        assert len(jobs.all("train")) == len(made) == 4
        monkeypatch.undo()
    columns = pd.read_csv(SHIPPED / "results.csv").columns
    assert list(made.columns) == list(columns)
    sgd, samar = (made[(made.phase == "final") & (made.arm == arm)] for arm in ("sgd", "samar"))
    trials = made[made.phase == "tune"].sort_values("lr")
    assert sgd.lr.item() == trials.lr[trials.val_accuracy.idxmax()]
    assert list(trials.seed) == [0, 0]
    assert (samar.seed.item(), samar.rule.item()) == (1, DEFAULT.rule)
    assert samar.grad_evals.item() > sgd.grad_evals.item()
    for row in (sgd, samar):
        assert row.status.item() == "finished"
        assert row.test_accuracy.item() > 0
        assert row.lambda_max.item() > 0
    assert sgd.rho.isna().all()


def test_the_shipped_tables_follow_from_the_shipped_rows(tmp_path: Path) -> None:
    tables.write(SHIPPED / "results.csv", tmp_path)
    for name in ("arms.csv", "target.csv", "candidates.csv", "findings.md"):
        assert (tmp_path / name).read_text() == (SHIPPED / name).read_text(), name


def test_every_row_has_what_the_protocol_asks_for(rows: pd.DataFrame) -> None:
    assert not rows.duplicated(["setting", "phase", "arm", "seed", "rho", "lr"]).any()
    for (setting, phase, arm), made in rows.groupby(["setting", "phase", "arm"]):
        spec = study.specification(
            rows, setting, phase, arm, "folder:x" * bool(TASKS[setting].images)
        )
        wanted = [s for config in spec.settings() for s in [config] * spec.seeds]
        assert len(made) == len(wanted)
        for name in ("rho", "lr", "lam_min", "strength", "epochs", "validation"):
            asked = {getattr(config, name) for config in wanted if config.applies(name)}
            assert sorted(set(made[name].dropna())) == pytest.approx(sorted(asked)), (arm, name)
        first = spec.base.get("seed", 0)
        assert set(made.seed) == set(range(first, first + spec.seeds))
        assert arm in study.arms(phase, setting)


def test_the_untuned_arm_ran_at_the_present_defaults(rows: pd.DataFrame) -> None:
    """Whoever changes a default has to run the study again, or to say that it was not."""
    names = [*DEFAULT.rule_constants, *DEFAULT.second_pass_constants]
    for _, row in rows[(rows.arm == "samar") & (rows.phase == "final")].iterrows():
        assert (row.rule, row.second_pass) == (DEFAULT.rule, DEFAULT.second_pass_name)
        task = TASKS[row.setting].changes
        for name in (*names, "rho", "lam", "lam_min", "lam_max", "beta", "lr"):
            assert row[name] == pytest.approx(task.get(name, getattr(DEFAULT, name))), name


def test_the_default_is_the_candidate_that_all_settings_together_choose(rows: pd.DataFrame) -> None:
    for name, value in CANDIDATES[study.best_candidate(rows)].items():
        ours = DEFAULT.second_pass_name if name == "second_pass" else getattr(DEFAULT, name)
        assert ours == value, name


def test_arms_are_compared_fairly(rows: pd.DataFrame) -> None:
    """Equal trials over a factor of 16 in ρ, and as many gradients as the arms claim."""
    for arm in ARMS.values():
        for task in TASKS.values():
            for name, values in arm.trials(task).items():
                assert len(set(values)) == 5
                assert name == "lr" or max(values) / min(values) == pytest.approx(16)
    for setting in TASKS:
        plain = final(rows, setting, "sgd").set_index("seed").grad_evals
        for arm, factor in {"sgd_half": 1.5, "sgd_twice": 2, "sam": 2, "vasso": 2}.items():
            spent = final(rows, setting, arm).set_index("seed").grad_evals
            assert (spent / plain[spent.index]).to_numpy() == pytest.approx(factor, rel=0.01)
    for setting, arm in (("cifar", "sgd"), ("cifar", "sgd_twice"), ("cifar_noise20", "sgd_twice")):
        assert final(rows, setting, arm).train_accuracy.mean() >= 0.95, "else nothing is overfitted"


def test_differences_are_paired_and_the_goal_is_held_against_the_right_arms() -> None:
    def row(arm: str, seed: int, test: float, spent: int, h1: float = math.nan) -> dict:
        return {
            "setting": "digits_clean",
            "phase": "final",
            "arm": arm,
            "seed": seed,
            "status": "finished",
            "test_accuracy": test,
            "grad_evals": spent,
            "lambda_max": h1,
            "rho": 0.1,
        }

    made = [
        *(row("sam", 1, 0.90, 200, 10.0), row("sam", 2, 0.92, 200, 14.0)),
        *(row("samar", 1, 0.88, 140, 14.0), row("samar", 2, 0.93, 140, 15.0)),
        *(row("samar", 3, 0.10, 140), row("vasso", 1, 0.85, 200), row("vasso", 2, 0.86, 200)),
        *(row(arm, seed, test, spent) for arm, test, spent in GIVEN for seed in (1, 2)),
    ]
    verdict = tables.verdicts(pd.DataFrame(made))["digits_clean"]
    assert verdict["best"] == "sam"
    behind = verdict["behind"]
    # The pairs are −0.02 and +0.01: a deviation of 0.03 / √2, over √2, times 12.7062.
    assert (behind.n, behind.mean) == (2, pytest.approx(-0.005))
    assert behind.high - behind.mean == pytest.approx(12.7062047 * 0.03 / 2)
    assert verdict["sgd"].mean == pytest.approx((0.88 + 0.93) / 2 - 0.98), "not sgd_half's"
    assert verdict["price"] == pytest.approx(1.4)
    assert verdict["flatness"] == pytest.approx(14.5 / 12)
    assert not verdict["sharper"]  # 14.5 is within 12 ± 2.83
    assert not tables.met(verdict)
    lost = pd.DataFrame(
        [{**line, "status": "diverged"} if line["seed"] == 2 else line for line in made]
    )
    assert tables.Setting.of(lost, "digits_clean").test.sam[2] == 0


GIVEN = (("sgd", 0.7, 100), ("sgd_half", 0.98, 150), ("sgd_twice", 0.6, 200))


def test_what_the_readme_says_of_the_default(rows: pd.DataFrame) -> None:
    """Close to a tuned SAM for fewer gradients on photographs, behind it on noisy digits."""
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
        found = tables.Setting.of(rows, setting).difference("samar", arm)
        assert 100 * found.mean == pytest.approx(points, abs=0.01)
    for setting in ("digits_noise20", "digits_noise40"):
        assert tables.Setting.of(rows, setting).difference("samar", "sam").mean < -0.02
        sam, samar = (tables.rho_range(rows, setting, arm) for arm in tables.CURVE_ARMS)
        assert samar < 0.5 * sam
