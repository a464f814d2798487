"""The protocol is fair by construction: equal trials, fresh seeds, equal gradients."""

from dataclasses import replace

import pytest

from samar.sweeps.study import protocol
from samar.sweeps.study.coordinator import described
from samar.sweeps.study.protocol import ARMS, FINAL_SEEDS, TASKS, TRIALS, TUNING_SEEDS, config_of
from samar.training.settings import TrainSettings

EVERY = [(setting, arm) for setting in TASKS for arm in ARMS]


def test_every_tuned_arm_has_the_same_number_of_different_trials() -> None:
    for task in TASKS.values():
        for arm in ARMS.values():
            trials = arm.trials(task)
            assert len(trials) in (0, TRIALS)
            assert len({tuple(trial.items()) for trial in trials}) == len(trials)
    untuned = {name for name, arm in ARMS.items() if not arm.trials(TASKS["digits_clean"])}
    assert untuned == {"sam_default", "samar", "samar_old"}


def test_final_seeds_were_never_looked_at_before() -> None:
    seen = {*TUNING_SEEDS, *protocol.EXPLORING_SEEDS}
    for seeds in FINAL_SEEDS.values():
        assert len(set(seeds)) == len(seeds)
        assert not seen & set(seeds)


@pytest.mark.parametrize(("setting", "arm"), EVERY)
def test_arms_differ_in_the_optimizer_alone(setting: str, arm: str) -> None:
    config = config_of(setting, arm, seed=3)
    sgd = config_of(setting, "sgd", seed=3)
    allowed = {"optimizer", "rule", "rho", "theta", "lam", "lam_min", "lam_max", "beta", "epochs"}
    allowed |= {"tau", "up", "down", "memory", "gamma", "delta"}
    for name, value in config:
        if name not in allowed:
            assert value == getattr(sgd, name), name
    assert config.epochs == sgd.epochs * (2 if arm == "sgd_twice" else 1)
    assert config.validation == 0


def test_the_untuned_arm_is_the_programs_default() -> None:
    for setting, task in TASKS.items():
        ours = config_of(setting, "samar", seed=0).model_dump()
        default = TrainSettings().model_dump()
        changed = {name for name, value in ours.items() if value != default[name]}
        assert changed <= {*task.changes, "dataset"}


def test_the_trial_with_the_best_validation_accuracy_is_chosen() -> None:
    trials = [t for t in protocol.trials("tune", "digits_clean") if t.arm == "sam"]
    assert len(trials) == TRIALS * len(TUNING_SEEDS)
    assert all(trial.config.validation == protocol.VALIDATION for trial in trials)
    rows = [
        replace(described(trial), status="finished", val_accuracy=value, test_accuracy=1 - value)
        for trial, value in zip(trials, (0.1, 0.7, 0.7), strict=True)
    ]
    assert protocol.chosen(rows, "digits_clean", "sam") == {"rho": trials[1].config.rho}
    assert protocol.chosen(rows[:-1], "digits_clean", "sam") is None
    assert protocol.chosen([], "digits_clean", "samar") == {}


def test_a_diverged_trial_is_never_chosen() -> None:
    trials = [t for t in protocol.trials("tune", "digits_clean") if t.arm == "sam"]
    rows = [replace(described(trial), status="diverged") for trial in trials]
    rows[2] = replace(rows[2], status="finished", val_accuracy=0.1)
    assert protocol.chosen(rows, "digits_clean", "sam") == {"rho": trials[2].config.rho}


def test_only_tuned_arms_reach_the_final_runs() -> None:
    arms = {trial.arm for trial in protocol.trials("final", "digits_clean")}
    assert arms == {"sam_default", "samar", "samar_old"}


def test_the_curve_covers_the_radii_of_the_target() -> None:
    rho = {trial.config.rho for trial in protocol.trials("curve", "digits_noise40")}
    assert (min(rho), max(rho)) == (0.02, 0.5)
