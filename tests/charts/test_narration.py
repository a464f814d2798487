import numpy as np
import pytest

from samar.charts.narration import narrate
from samar.training.settings import TrainSettings


def steps(ratio: float, lam: list[float]) -> dict[str, np.ndarray]:
    count = len(lam)
    return {
        "step": np.arange(1.0, count + 1),
        "ratio": np.array([1.0] * (count - 2) + [ratio, 1.0]),
        "lam": np.float32(lam).astype(float),
    }


@pytest.mark.parametrize(
    ("ratio", "lam", "sentence"),
    [
        (1.31, [0.5, 0.5, 0.62], "Ratio 1.31 is above 1.10, so λ rose to 0.62."),
        (0.42, [0.5, 0.5, 0.48], "Ratio 0.42 is below 0.90, so λ fell to 0.48."),
        (1.05, [0.5, 0.5, 0.5], "Ratio 1.05 lies between 0.90 and 1.10, so λ stayed at 0.5."),
        (1.31, [3, 3, 3], "Ratio 1.31 is above 1.10, so λ stayed at 3, its ceiling."),
        (0.31, [0.1, 0.1, 0.1], "Ratio 0.31 is below 0.90, so λ stayed at 0.1, its floor."),
        (float("nan"), [1, 1, 1], "The ratio was not a number, so λ stayed at 1."),
    ],
)
def test_dead_band(ratio: float, lam: list[float], sentence: str) -> None:
    config = TrainSettings(rule="dead_band", tau=0.1, lam_min=0.1, lam_max=3)
    assert narrate(config, steps(ratio, lam)).startswith(sentence)


def test_recent_moves_are_counted() -> None:
    text = narrate(TrainSettings(rule="power"), steps(1.2, [1, 1.1, 1.2, 1.1, 1.2]))
    assert text.startswith("Ratio 1.20 is above 1, so λ rose to 1.2.")
    assert text.endswith("Of the last 4 steps, 3 raised it and 1 lowered it.")


def test_other_optimizers_and_the_beginning() -> None:
    assert "no sharpness and no λ" in narrate(TrainSettings(optimizer="sgd"), steps(1, [1, 1, 1]))
    assert "λ is 1 throughout" in narrate(TrainSettings(optimizer="sam"), steps(1, [1, 1, 1]))
    assert "fixed at 2" in narrate(TrainSettings(rule="fixed", lam=2), steps(1, [2, 2, 2]))
    assert "Waiting" in narrate(TrainSettings(), steps(1, [1, 1]))


def test_a_lambda_that_is_held_is_said_to_be() -> None:
    held = TrainSettings(lam_held=0.0)
    assert narrate(held, steps(1.2, [0, 0, 0])).startswith("λ is held at 0: the sharpness ratio is")


def test_another_optimizer_had_its_turn_before() -> None:
    nan = float("nan")
    just = narrate(TrainSettings(), steps(1.2, [nan, nan, 1.0]))
    assert just == "Waiting for the first sharpness ratio."
    text = narrate(TrainSettings(), steps(1.2, [nan, 1.0, 1.1, 1.2]))
    assert text.endswith("Of the last 2 steps, 2 raised it and 0 lowered it.")
