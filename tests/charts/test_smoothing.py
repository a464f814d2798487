"""The moving average against its definition, written out as a loop."""

import numpy as np
import pytest

from samar.charts.smoothing import exponential_moving_average


def by_definition(values: np.ndarray, weight: float) -> list[float]:
    mean, count, result = 0.0, 0, []
    for value in values:
        if np.isfinite(value):
            mean, count = weight * mean + (1 - weight) * value, count + 1
        result.append(mean / (1 - weight**count) if np.isfinite(value) else np.nan)
    return result


@pytest.mark.parametrize("weight", [0.1, 0.9, 0.999])
def test_equals_its_definition(weight: float) -> None:
    values = np.random.default_rng(0).normal(3, 1, 200)
    values[[0, 7, 8, 150]] = [np.nan, np.nan, np.inf, -np.inf]
    smooth = exponential_moving_average(values, weight)
    np.testing.assert_allclose(smooth, by_definition(values, weight), rtol=1e-10)


def test_no_pull_towards_zero_at_the_start() -> None:
    smooth = exponential_moving_average(np.full(5, 7.0), 0.99)
    np.testing.assert_allclose(smooth, 7.0, rtol=1e-12)
