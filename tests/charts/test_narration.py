import numpy as np
import pytest

from samar.charts.narration import narrate, second_gradients
from samar.training.settings import TrainSettings


def steps(
    ratio: float, lam: list[float], second: list[bool] | None = None
) -> dict[str, np.ndarray]:
    count = len(lam)
    taken = np.array([True] * count if second is None else second)
    return {
        "grad_evals": np.cumsum(1 + taken),
        "perturbed_loss": np.where(taken, 1.5, np.nan),
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
        (float("nan"), [1, 1, 1], "There is no ratio yet, so λ stayed at 1."),
    ],
)
def test_dead_band(ratio: float, lam: list[float], sentence: str) -> None:
    config = TrainSettings(rule="dead_band", tau=0.1, lam_min=0.1, lam_max=3)
    assert narrate(config, steps(ratio, lam)).startswith(sentence)


def test_recent_moves_are_counted() -> None:
    text = narrate(TrainSettings(rule="power"), steps(1.2, [1, 1.1, 1.2, 1.1, 1.2]))
    assert text.startswith("Ratio 1.20 is above 1, so λ rose to 1.2.")
    assert text.endswith("Of the last 4 steps, 3 raised it and 1 lowered it.")


def test_a_skipped_step_moves_nothing_and_is_told_of() -> None:
    found = steps(1.3, [0.5, 0.5, 0.6, 0.6], [True, True, False, False])
    found["ratio"][1:] = 1.3
    text = narrate(TrainSettings(rule="power"), found)
    assert text.startswith("Ratio 1.30 is above 1, so λ rose to 0.6.")
    assert text.endswith("Lately 33 % of the steps took a second gradient.")
    assert second_gradients(found) == pytest.approx(1 / 3)
    late = TrainSettings(optimizer="sam", second_pass="late")
    assert "λ is 1 where the second gradient is taken, and 0 elsewhere" in narrate(late, found)


def test_the_share_is_told_in_percent() -> None:
    config = TrainSettings(rule="share", scale=3.0)
    text = narrate(config, steps(1.2, [0.3, 0.3, 0.63]))
    assert text.startswith("21 % of the worst-case loss is sharpness, so λ rose to 0.63.")


def test_other_optimizers_and_the_beginning() -> None:
    assert "no sharpness and no λ" in narrate(TrainSettings(optimizer="sgd"), steps(1, [1, 1, 1]))
    assert "λ is 1 throughout" in narrate(TrainSettings(optimizer="sam"), steps(1, [1, 1, 1]))
    assert "fixed at 2" in narrate(TrainSettings(rule="fixed", lam=2), steps(1, [2, 2, 2]))
    assert "Waiting" in narrate(TrainSettings(), steps(1, [1, 1]))


def test_a_lambda_that_is_held_is_said_to_be() -> None:
    held = TrainSettings(lam_held=0.0)
    assert narrate(held, steps(1.2, [0, 0, 0])).startswith("λ is held at 0: the sharpness ratio is")
