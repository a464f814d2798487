"""The protocol is fair by construction: equal trials, fresh seeds, a choice that was not judged."""

from dataclasses import replace

import pytest

from samar.sweeps.study import protocol
from samar.sweeps.study.coordinator import described
from samar.sweeps.study.protocol import (
    ARMS,
    CANDIDATES,
    FINAL_SEEDS,
    SAM_TYPE,
    TASKS,
    TRIALS,
    TUNING_SEED,
    config_of,
)
from samar.sweeps.study.rows import Row
from samar.training.settings import TrainSettings

EVERY = [(setting, arm) for setting in TASKS for arm in ARMS]
SHORT = [name for name, task in TASKS.items() if not task.main]


def test_every_tuned_arm_has_the_same_number_of_different_trials() -> None:
    for task in TASKS.values():
        for arm in ARMS.values():
            trials = arm.trials(task)
            assert len(trials) in (0, TRIALS)
            assert len({tuple(trial.items()) for trial in trials}) == len(trials)
    untuned = {name for name, arm in ARMS.items() if not arm.trials(TASKS["digits_clean"])}
    assert untuned == {
        "sgd_half",
        "sgd_twice",
        "sam_default",
        "sgd_hold",
        "samar",
        "samar_01",
        "samar_hold",
        "samar_left_out",
        "samar_rate",
    }
    assert set(SAM_TYPE) <= set(ARMS) - untuned


def test_the_radii_span_a_factor_of_16() -> None:
    for setting in TASKS:
        for arm in protocol.CURVE_ARMS:
            radii = [trial["rho"] for trial in ARMS[arm].trials(TASKS[setting])]
            assert max(radii) / min(radii) == pytest.approx(16)


def test_final_seeds_were_never_looked_at_before() -> None:
    for seeds in FINAL_SEEDS.values():
        assert len(set(seeds)) == len(seeds)
        assert TUNING_SEED not in seeds


LATE_DECAY = {"temperon", "sgd_hold", "samar_hold"}


@pytest.mark.parametrize(("setting", "arm"), EVERY)
def test_arms_differ_in_the_optimizer_alone(setting: str, arm: str) -> None:
    config = config_of(setting, arm, seed=3)
    sgd = config_of(setting, "sgd", seed=3)
    allowed = {"optimizer", "rule", "rho", "theta", "lam", "lam_min", "lam_max", "beta", "epochs"}
    allowed |= {"gain", "memory", "second_pass", "begin", "adaptive"}
    allowed |= {"schedule"} if arm in LATE_DECAY else set()
    for name, value in config:
        if name not in allowed:
            assert value == getattr(sgd, name), name
    assert config.epochs == round(sgd.epochs * {"sgd_half": 1.5, "sgd_twice": 2}.get(arm, 1))
    assert config.validation == 0


def test_the_untuned_arm_is_the_programs_default() -> None:
    for setting, task in TASKS.items():
        ours = config_of(setting, "samar", seed=0).model_dump()
        default = TrainSettings().model_dump()
        changed = {name for name, value in ours.items() if value != default[name]}
        assert changed <= {*task.changes, "dataset"}


def test_the_default_is_one_of_the_candidates() -> None:
    default = TrainSettings().model_dump()
    assert any(
        all(default[name] == value for name, value in values.items() if name != "second_pass")
        for values in CANDIDATES.values()
    )


def tuned(*values: float) -> list[Row]:
    trials = [t for t in protocol.trials("tune", "digits_clean") if t.arm == "sam"]
    assert len(trials) == TRIALS
    assert all(trial.config.validation == protocol.VALIDATION for trial in trials)
    return [
        replace(described(trial), status="finished", val_accuracy=value, test_accuracy=1 - value)
        for trial, value in zip(trials, values, strict=True)
    ]


def test_the_trial_with_the_best_validation_accuracy_is_chosen() -> None:
    rows = tuned(0.1, 0.7, 0.7, 0.2, 0.3)
    assert protocol.chosen(rows, "digits_clean", "sam") == {"rho": rows[1].rho}
    assert protocol.chosen(rows[:-1], "digits_clean", "sam") is None
    assert protocol.chosen([], "digits_clean", "samar") == {}


def test_a_diverged_trial_is_never_chosen() -> None:
    rows = [replace(row, status="diverged") for row in tuned(0.9, 0.9, 0.9, 0.9, 0.9)]
    rows[2] = replace(rows[2], status="finished", val_accuracy=0.1)
    assert protocol.chosen(rows, "digits_clean", "sam") == {"rho": rows[2].rho}


def test_longer_runs_of_sgd_take_over_its_learning_rate() -> None:
    trials = [t for t in protocol.trials("tune", "digits_clean") if t.arm == "sgd"]
    rows = [
        replace(described(trial), status="finished", val_accuracy=trial.config.lr == 0.1)
        for trial in trials
    ]
    for arm in ("sgd", "sgd_half", "sgd_twice"):
        assert protocol.chosen(rows, "digits_clean", arm) == {"lr": 0.1}


def test_arms_at_the_learning_rate_of_sgd_wait_for_it() -> None:
    sgd = [t for t in protocol.trials("tune", "digits_clean") if t.arm == "sgd"]
    assert not [t for t in protocol.trials("tune", "digits_clean") if t.arm == "sam_rate"]
    rows = [
        replace(described(trial), status="finished", val_accuracy=trial.config.lr == 0.2)
        for trial in sgd
    ]
    assert protocol.chosen(rows, "digits_clean", "samar_rate") == {"lr": 0.2}
    assert protocol.chosen(rows, "digits_clean", "sam_rate") is None
    sam = [t for t in protocol.trials("tune", "digits_clean", rows) if t.arm == "sam_rate"]
    assert [trial.config.lr for trial in sam] == [0.2] * TRIALS
    rows += [
        replace(described(trial), status="finished", val_accuracy=trial.config.rho == 0.4)
        for trial in sam
    ]
    assert protocol.chosen(rows, "digits_clean", "sam_rate") == {"lr": 0.2, "rho": 0.4}
    final = {t.arm: t.config for t in protocol.trials("final", "digits_clean", rows)}
    assert (final["sam_rate"].lr, final["sam_rate"].rho) == (0.2, 0.4)
    assert (final["samar_rate"].lr, final["samar_rate"].rho) == (0.2, TrainSettings().rho)


def test_a_long_setting_takes_over_what_was_chosen_on_a_short_one() -> None:
    short = TASKS["cifar_large"].tuned_on
    rows = [
        replace(described(trial), status="finished", val_accuracy=1 / (1 + number))
        for number, trial in enumerate(protocol.trials("tune", short))
    ]
    assert not list(protocol.trials("tune", "cifar_large"))
    final = {trial.arm: trial.config for trial in protocol.trials("final", "cifar_large", rows)}
    assert set(final) == {name for name, arm in ARMS.items() if arm.main}
    assert final["sam"].rho == ARMS["sam"].trials(TASKS[short])[0]["rho"]
    for arm in ("sgd", "sgd_half", "sgd_twice"):
        assert final[arm].lr == ARMS["sgd"].trials(TASKS[short])[0]["lr"]
    known = TASKS[short].changes
    different = {"epochs", "lr"}
    assert {**known, **dict.fromkeys(different)} == {
        **TASKS["cifar_large"].changes,
        **dict.fromkeys(different),
    }


def test_a_run_whose_learning_rate_falls_later_is_another() -> None:
    """Else its row would be copied from that of the arm whose other settings it has."""
    late, usual = (
        described(protocol.Trial("cifar", "final", arm, config_of("cifar", arm, seed=1)))
        for arm in ("samar_hold", "samar")
    )
    assert replace(late, schedule=usual.schedule).choice == usual.choice
    assert late.choice != usual.choice


def test_only_tuned_arms_reach_the_final_runs() -> None:
    arms = {trial.arm for trial in protocol.trials("final", "digits_clean")}
    assert arms == {"sam_default", "sgd_hold", "samar", "samar_01", "samar_hold"}
    assert {trial.arm for trial in protocol.trials("final", "cifar_large")} == {"samar"}


def candidates(best: dict[str, str]) -> list[Row]:
    """Rows in which one candidate is good on a setting and all others are half as good."""
    return [
        replace(
            described(trial),
            status="finished",
            val_accuracy=0.8 if best[setting] == trial.arm else 0.4,
            grad_evals=200 if trial.arm == protocol.TWICE else 130,
        )
        for setting in SHORT
        for trial in protocol.trials("candidates", setting)
    ]


def test_a_setting_is_judged_by_what_the_others_choose() -> None:
    one, other = list(CANDIDATES)[1:3]
    rows = candidates(dict.fromkeys(SHORT, one) | {"digits_clean": other})
    assert protocol.best_candidate(rows) == one
    assert protocol.best_candidate(rows, without="digits_clean") == one
    assert protocol.chosen(rows, "digits_clean", "samar_left_out") == CANDIDATES[one]
    half = len(SHORT) // 2
    split = dict.fromkeys(SHORT[: half + 1], one) | dict.fromkeys(SHORT[half + 1 :], other)
    rows = candidates(split)
    last = SHORT[0]
    assert protocol.best_candidate(rows) == one
    # Without one of its settings the two are level, and the first of equals is taken; without
    # two more the other leads.
    fewer = [row for row in rows if row.setting != last]
    assert protocol.best_candidate(fewer) is None
    assert protocol.best_candidate(fewer, without=last) in (one, other)


def test_a_candidate_that_lacks_a_run_is_waited_for() -> None:
    one = list(CANDIDATES)[2]
    rows = candidates(dict.fromkeys(SHORT, one))
    assert protocol.best_candidate(rows) == one
    assert protocol.best_candidate(rows[:-1]) is None
    assert protocol.chosen(rows[:-1], "digits_clean", "samar_left_out") is None


def test_a_candidate_that_is_too_dear_is_not_chosen() -> None:
    rows = candidates(dict.fromkeys(SHORT, protocol.TWICE))
    assert protocol.price_of(rows, protocol.TWICE, SHORT) == 2
    other = protocol.best_candidate(rows)
    assert other is not None
    assert other != protocol.TWICE
    assert protocol.price_of(rows, other, SHORT) == pytest.approx(1.3)
