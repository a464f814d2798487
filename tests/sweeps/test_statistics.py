"""Intervals against SciPy's."""

import math

import pytest
from scipy import stats

from samar.sweeps.statistics import mean_std, t_interval


def test_an_interval_is_that_of_a_t_test() -> None:
    values = [0.3, 0.1, 0.5, 0.45]
    oracle = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = t_interval(values)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high))
    assert (found.mean, found.n) == (pytest.approx(0.3375), 4)


def test_what_is_undefined_is_nan() -> None:
    one = t_interval([0.5])
    assert one.mean == 0.5
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    none, odd = mean_std([]), mean_std([0.5, math.nan])
    assert (none.n, odd.n, none.percent, odd.percent) == (0, 2, "", "")
    assert mean_std([0.5]).percent == "50.00"
    assert mean_std([0.5, 0.6]).percent == "55.00 ± 7.07"
