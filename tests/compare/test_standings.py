"""Who leads, by each reading of the x axis, on made-up columns."""

from typing import Any

import numpy as np
import pytest

from samar.compare.standings import race_sentence, standings


def run(gradients: int, pace: float, *accuracies: float) -> dict[str, Any]:
    """A member that is evaluated every 310 steps of ``pace`` seconds each."""
    step = 310.0 * np.arange(1, 1 + len(accuracies))
    columns = {"step": step, "grad_evals": gradients * step, "seconds": pace * step}
    return {**columns, "test_accuracy": np.array(accuracies)}


RACE = {
    "SGD": run(1, 0.1, 0.70, 0.85, 0.88, 0.880),
    "SAM": run(2, 0.2, 0.60, 0.80, 0.90, 0.911),
    "SAMAR": run(2, 0.3, 0.50, 0.87, 0.93, 0.942),
}


def test_the_leader_by_steps() -> None:
    found = standings(RACE)
    assert found is not None
    assert (found.leader, found.runner_up, found.at) == ("SAMAR", "SAM", 1240)
    assert found.points == pytest.approx(3.1)
    assert found.gradients == {"SGD": 1240, "SAM": 2480, "SAMAR": 2480}
    assert found.sentence == (
        "SAMAR leads by 3.1 points (94.2 % against SAM's 91.1 %) after 1,240 steps"
    )


def test_at_equal_gradients_and_seconds_all_are_read_where_the_first_ended() -> None:
    gradients, seconds = standings(RACE, "grad_evals"), standings(RACE, "seconds")
    assert gradients is not None
    assert seconds is not None
    assert gradients.at == 1240
    assert dict(gradients.accuracies) == {"SGD": 0.88, "SAMAR": 0.87, "SAM": 0.80}
    assert seconds.at == pytest.approx(124)
    assert dict(seconds.accuracies) == {"SGD": 0.88, "SAM": 0.80, "SAMAR": 0.50}


def test_the_whole_story() -> None:
    assert race_sentence(RACE) == (
        "SAMAR leads by 3.1 points (94.2 % against SAM's 91.1 %) after 1,240 steps. "
        "SAMAR spent 2 gradients a step where SGD spent 1. "
        "At an equal number of gradients, SGD leads by 1.0 points (88.0 % against SAMAR's 87.0 %) "
        "after 1,240 gradients. "
        "At an equal time, SGD leads by 8.0 points (88.0 % against SAM's 80.0 %) "
        "after 124 s of training."
    )


def test_one_that_diverged_is_out_and_said_so() -> None:
    race = {**RACE, "VaSSO": run(2, 0.1, 0.3)}
    held_back = standings(race)
    assert held_back is not None
    assert held_back.at == 310
    told = race_sentence(race, diverged=["VaSSO"])
    assert told.startswith("SAMAR leads by 3.1 points")
    assert told.endswith("VaSSO diverged.")


def test_nothing_is_said_before_two_are_evaluated() -> None:
    assert race_sentence({"SGD": run(1, 0.1), "SAM": run(2, 0.1)}) == ""
    assert standings({"SGD": run(1, 0.1, 0.5), "SAM": run(2, 0.1)}) is None
    only_one_so_early = {"SGD": run(1, 0.1, 0.5), "SAM": run(2, 0.1, 0.4)}
    assert standings(only_one_so_early, "grad_evals") is None
