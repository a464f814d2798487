import numpy as np
import pytest

from samar.landscapes.grid import Grid


def test_levels_are_nested_and_centre_out() -> None:
    grid = Grid([(-1, 1), (-2, 2)], 17)
    order = []
    for level in grid.levels:
        new = grid.pending(level)
        order.append(len(new))
        distances = [sum((i - 8) ** 2 for i in index) for index in new]
        assert distances == sorted(distances)
        for index in new:
            grid.put(index, sum(index), 0.5)
        assert grid.finest == level
    assert order == [25, 81 - 25, 289 - 81]
    assert grid.done.all()
    assert Grid([(-1, 1)], 65).pending(5)[0] == (32,)


def test_rows_are_the_second_direction() -> None:
    grid = Grid([(-1, 1), (10, 20)], 5)
    assert grid.coordinates((0, 4)) == (1, 10)
    assert grid.coordinates((4, 0)) == (-1, 20)


@pytest.mark.parametrize("span", [0.3, 0.7, 1.1, 1 / 3])
def test_the_centre_is_exactly_zero(span: float) -> None:
    for points in (5, 9, 17, 33, 65):
        (axis,) = Grid([(-span, span)], points).axes
        assert axis[points // 2] == 0
        np.testing.assert_array_equal(axis[:: (points - 1) // 4], Grid([(-span, span)], 5).axes[0])


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="got 16; choose 17"):
        Grid([(-1, 1)], 16)
    for spans in ([], [(1, 1)], [(0, float("inf"))], [(0, 1)] * 3):
        with pytest.raises(ValueError, match="finite low < high"):
            Grid(spans, 5)
