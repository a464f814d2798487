"""Kept moments make room evenly, and the newest good ones stay."""

from itertools import pairwise

import pytest

from samar.training.moments import NEWEST_GOOD, Moment, to_drop


def kept(count: int, size: int = 10, good_until: int = 10**9) -> list[Moment]:
    return [Moment(10 * i, size, 10 * i < good_until) for i in range(count)]


def test_nothing_goes_while_there_is_room() -> None:
    assert to_drop(kept(10), 100, 10) == []
    assert to_drop([], 100, 10) == []


@pytest.mark.parametrize(("most_bytes", "most"), [(100, 1000), (10**6, 10)])
def test_what_is_left_covers_the_run(most_bytes: int, most: int) -> None:
    moments: list[Moment] = []
    for i in range(100):
        moments.append(Moment(10 * i, 10, True))
        gone = to_drop(moments, most_bytes, most)
        moments = [each for each in moments if each.step not in gone]
    steps = [each.step for each in moments]
    assert len(steps) == 10
    assert steps[-NEWEST_GOOD:] == [970, 980, 990]
    gaps = [b - a for a, b in pairwise(steps)]
    assert max(gaps) <= 400


def test_the_newest_good_ones_survive_a_long_collapse() -> None:
    moments: list[Moment] = []
    for i in range(200):
        moments.append(Moment(10 * i, 10, i < 50))
        gone = to_drop(moments, 80, 1000)
        moments = [each for each in moments if each.step not in gone]
    steps = [each.step for each in moments]
    assert {470, 480, 490, 1990} <= set(steps)


def test_of_a_large_network_the_newest_alone() -> None:
    assert to_drop(kept(3, size=60), 100, 10) == [0, 10]
    assert to_drop(kept(2, size=600), 100, 10) == [0]
