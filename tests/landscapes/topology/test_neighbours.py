import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial import cKDTree

from samar.landscapes.topology.neighbours import grid_border, grid_edges, is_enclosed, nearest_edges


def test_neighbours_on_a_grid() -> None:
    assert grid_edges((4,)).tolist() == [[0, 1], [1, 2], [2, 3]]
    rows, columns = 3, 4
    place = np.stack(np.unravel_index(np.arange(rows * columns), (rows, columns)), axis=1)
    steps = np.abs(place[:, None] - place[None])
    for neighbours, near in ((4, steps.sum(axis=2) == 1), (8, steps.max(axis=2) == 1)):
        edges = grid_edges((rows, columns), neighbours)
        expected = {tuple(pair) for pair in np.argwhere(np.triu(near)).tolist()}
        assert {tuple(sorted(pair)) for pair in edges.tolist()} == expected
        assert len(edges) == len(expected)


def test_the_border_of_a_grid_is_its_edge_and_around_holes() -> None:
    finite = np.ones((6, 7), dtype=bool)
    finite[3, 4] = False
    border = grid_border(finite).reshape(6, 7)
    inner = np.zeros((6, 7), dtype=bool)
    inner[1:-1, 1:-1] = True
    inner[2:5, 3:6] = False
    np.testing.assert_array_equal(border, ~inner)
    assert grid_border(np.ones(5, dtype=bool)).tolist() == [True, False, False, False, True]


@pytest.mark.parametrize(("count", "dim", "k"), [(50, 2, 3), (300, 5, 20), (7, 3, 6)])
def test_nearest_points_are_those_of_a_tree(count: int, dim: int, k: int) -> None:
    points = np.random.default_rng(count).normal(size=(count, dim))
    _, nearest = cKDTree(points).query(points, k + 1)
    expected = {tuple(sorted((i, int(j)))) for i, row in enumerate(nearest) for j in row[1:]}
    assert {tuple(pair) for pair in nearest_edges(points, k).tolist()} == expected


def test_pieces_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(0).normal(size=(101, 3))
    whole = nearest_edges(points, 5)
    monkeypatch.setattr("samar.landscapes.topology.neighbours.PIECE", 1000)
    np.testing.assert_array_equal(nearest_edges(points, 5), whole)


def test_a_point_is_enclosed_where_a_linear_program_finds_it_in_the_hull() -> None:
    random = np.random.default_rng(3)
    answers = []
    for trial in range(200):
        dim = 1 + trial % 6
        around = random.normal(size=(2 * dim + 2, dim))
        point = random.normal(size=dim) * 0.5
        program = linprog(
            np.zeros(len(around)),
            A_eq=np.vstack([around.T, np.ones(len(around))]),
            b_eq=[*point, 1.0],
        )
        answers.append(program.status == 0)
        assert is_enclosed(point, around) == answers[-1]
    assert 20 < sum(answers) < 180, "both occur"
