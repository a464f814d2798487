"""Merge trees against gudhi, Landscaper, components counted by SciPy, and closed forms."""

from dataclasses import replace

import gudhi
import numpy as np
import pytest
from scipy import ndimage

from samar.errors import ConfigError
from samar.landscapes.topology.merge_tree import (
    MergeTree,
    topology_of,
)
from tests.landscapes.topology import surfaces
from tests.landscapes.topology.surfaces import plane_of, square

RANDOM = np.random.default_rng(7)
ARRAYS = {
    "random": RANDOM.normal(size=(33, 33)),
    "wide": RANDOM.normal(size=(5, 17)),
    "ties": RANDOM.integers(0, 6, size=(21, 21)).astype(float),
    "constant": np.full((5, 5), 2.3),
    "holes": np.where(RANDOM.random((25, 25)) < 0.3, np.nan, RANDOM.normal(size=(25, 25))),
    "endless": np.where(RANDOM.random((17, 17)) < 0.2, np.inf, RANDOM.normal(size=(17, 17))),
    "wells": square(surfaces.wells, 65, 2.0).loss,
    "rough": square(surfaces.rough, 33, 1.0).loss,
}
EIGHT = np.ones((3, 3))


def pairs_of(found: np.ndarray) -> np.ndarray:
    """Intervals in one order, without those of no length or of cells that are not finite."""
    kept = found[np.isfinite(found[:, 0]) & (found[:, 1] > found[:, 0])]
    return kept[np.lexsort(kept.T[::-1])]


def with_endless(tree: MergeTree) -> np.ndarray:
    lowest = [(each.loss, np.inf) for each in tree.minima if each.saddle is None]
    return pairs_of(np.concatenate([tree.pairs, np.array(lowest)]))


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("name", ARRAYS)
def test_persistence_on_a_grid_is_gudhis(name: str, neighbours: int) -> None:
    """Vertices of a cubical complex meet along edges; its squares also meet at corners."""
    values = ARRAYS[name]
    given = {
        "vertices" if neighbours == 4 else "top_dimensional_cells": np.nan_to_num(
            values, nan=np.inf, posinf=np.inf
        )
    }
    cubical = gudhi.CubicalComplex(**given)
    cubical.compute_persistence()
    expected = pairs_of(cubical.persistence_intervals_in_dimension(0))
    tree = topology_of(plane_of(values), neighbours=neighbours)
    np.testing.assert_array_equal(with_endless(tree), expected)


def test_persistence_on_a_line_is_gudhis() -> None:
    values = RANDOM.normal(size=129)
    cubical = gudhi.CubicalComplex(vertices=values)
    cubical.compute_persistence()
    tree = topology_of(plane_of(values))
    expected = pairs_of(cubical.persistence_intervals_in_dimension(0))
    np.testing.assert_array_equal(with_endless(tree), expected)


@pytest.mark.parametrize("name", ["random", "ties", "holes", "rough"])
def test_at_every_level_the_tree_has_the_components_of_the_sublevel_set(name: str) -> None:
    """Counted by SciPy; two minima are connected just where their lowest common saddle is."""
    values = ARRAYS[name]
    tree = topology_of(plane_of(values))
    count = len(tree.minima)

    def saddles_above(node: int) -> list[int]:
        found = []
        while (above := tree.parents[node]) is not None:
            found.append(above)
            node = above
        return found

    for level in np.quantile(values[np.isfinite(values)], np.linspace(0, 1, 12)):
        labels, components = ndimage.label(np.nan_to_num(values, nan=np.inf) <= level, EIGHT)
        ends = [np.inf if m.saddle is None else tree.saddles[m.saddle].loss for m in tree.minima]
        alive = [m.loss <= level < end for m, end in zip(tree.minima, ends, strict=True)]
        assert sum(alive) == components
        groups: dict[int, int] = {}
        for node, minimum in enumerate(tree.minima):
            if minimum.loss <= level:
                reached = [s for s in saddles_above(node) if tree.saddles[s - count].loss <= level]
                top = reached[-1] if reached else node
                label = int(labels.ravel()[minimum.index])
                assert groups.setdefault(top, label) == label
        assert len(set(groups.values())) == len(groups) == components


def test_a_double_well_has_its_closed_form() -> None:
    """(x² − 1)² + y² + 0.1 x: minima near ∓1, saddle near 0; the grid holds the points exactly."""
    tree = topology_of(square(lambda x, y: (x**2 - 1) ** 2 + y**2, 33, 2.0))
    low, high = tree.minima
    (saddle,) = tree.saddles
    assert {low.position, high.position} == {(-1.0, 0.0), (1.0, 0.0)}
    assert low.position == (-1.0, 0.0), "of equally low ones the first in reading order"
    assert saddle.position == (0.0, 0.0)
    assert (low.persistence, high.persistence, saddle.loss) == (np.inf, 1.0, 1.0)
    assert (high.saddle, high.elder, tree.parents) == (0, 0, (2, 2, None))
    assert [each.border for each in (low, high, saddle)] == [False] * 3
    assert (tree.total_persistence, tree.smad) == (1.0, 1.0)
    assert tree.range == pytest.approx(13.0)


def test_two_gaussian_wells_pair_as_they_must() -> None:
    """Wells far apart: the shallow one ends at the pass between, which the line's maximum gives."""

    def loss(x, y):
        return -np.exp(-((x + 1) ** 2 + y**2) / 0.3) - 0.6 * np.exp(-((x - 1) ** 2 + y**2) / 0.3)

    line = np.linspace(-1, 1, 200_001)
    along = loss(line, 0.0)
    tree = topology_of(square(loss, 65, 2.0))
    deep, shallow = tree.minima
    (saddle,) = tree.saddles
    assert deep.position == (-1.0, 0.0)
    assert shallow.position == (1.0, 0.0)
    assert saddle.position == pytest.approx((line[along.argmax()], 0.0), abs=0.0625)
    assert saddle.loss == pytest.approx(along.max(), abs=1e-3)
    assert shallow.persistence == pytest.approx(along.max() - along[-1], abs=1e-3)


# Landscaper 1.3.1 from PyPI (topopy 1.0.4, nglpy 1.1.7), whose graph of a grid joins a cell with
# its four neighbours: the nodes of its tree without the root, which is the highest point; the mean
# length of its leaf edges (its SMAD, of that tree); the largest persistences, which it keeps to six
# digits. Its ``smad()`` is of the contour tree, in which ends of maxima cut some of these edges, so
# that it calls a bowl 1.0 where it has nothing to merge (see the guide).
LANDSCAPER = {
    ("wells", 17, 2.0): ([140, 145, 165], 0.7653365, [0.613775]),
    ("wells", 33, 2.0): ([536, 578, 618], 0.7719494, [0.620388]),
    ("ripples", 33, 1.25): ([533, 536, 544, 552, 555], 0.3345771, [0.0575965, 0.0515027]),
    ("valley", 17, 1.0): (
        [n for i in range(0, 271, 18) for n in (i, i + 1)] + [288],
        0.1155699,
        [0.138437, 0.133437, 0.132188],
    ),
    ("rough", 17, 1.0): (
        [
            *(1, 15, 16, 21, 28, 60, 73, 85, 87, 115, 116, 143, 187),
            *(189, 200, 209, 217, 246, 249, 258, 265, 274, 282, 287, 288),
        ],
        0.9350910,
        [2.27554, 1.97641, 1.8551],
    ),
    ("bowl", 9, 1.0): ([40], 0.0, []),
}


@pytest.mark.parametrize("case", LANDSCAPER, ids=lambda case: f"{case[0]}-{case[1]}")
def test_the_tree_is_landscapers(case: tuple[str, int, float]) -> None:
    name, points, reach = case
    nodes, smad, deepest = LANDSCAPER[case]
    tree = topology_of(square(getattr(surfaces, name), points, reach), neighbours=4)
    assert sorted(each.index for each in (*tree.minima, *tree.saddles)) == sorted(nodes)
    assert tree.smad == pytest.approx(smad, abs=1e-6)
    found = [each.persistence for each in tree.minima[1 : len(deepest) + 1]]
    assert found == pytest.approx(deepest, rel=1e-5)


def test_a_diagonal_valley_is_one_with_eight_neighbours() -> None:
    valley = square(surfaces.valley, 17, 1.0)
    assert len(topology_of(valley, neighbours=4).minima) == 17
    assert len(topology_of(valley).minima) == 1


def test_a_plateau_is_one_minimum_and_lies_at_the_border_if_it_reaches_it() -> None:
    inside = np.ones((9, 9))
    inside[3:6, 3:6] = 0.0
    inside[4, 4] = 0.5
    tree = topology_of(plane_of(inside))
    assert [(each.index, each.border) for each in tree.minima] == [(30, False)]
    assert tree.saddles == ()
    inside = inside.copy()
    inside[4, 5:] = 0.0
    tree = topology_of(plane_of(inside))
    assert [(each.index, each.border) for each in tree.minima] == [(30, True)]


def test_minima_at_the_border_and_beside_holes_are_flagged() -> None:
    slope = square(lambda x, y: x + 0.1 * y, 9, 1.0)
    (only,) = topology_of(slope).minima
    assert (only.position, only.border) == ((-1.0, -1.0), True)
    bowl = square(surfaces.bowl, 9, 1.0)
    assert not topology_of(bowl).minima[0].border
    loss = bowl.loss.copy()
    loss[3, 3] = np.nan
    tree = topology_of(replace(bowl, loss=loss))
    assert (tree.minima[0].border, tree.left_out, tree.points) == (True, 1, 80)


def test_parts_that_nothing_joins_have_a_tree_each() -> None:
    loss = square(surfaces.bowl, 9, 1.0).loss.copy()
    loss[:, 4] = np.nan
    tree = topology_of(plane_of(loss))
    assert tree.components == 2
    assert [each.saddle for each in tree.minima] == [None, None]
    assert tree.parents == (None, None)


def test_simplified_keeps_what_is_deep_and_its_tree() -> None:
    whole = topology_of(square(surfaces.rough, 65, 1.0))
    for threshold in (0.0, 0.02, 0.1, 0.5):
        tree = whole.simplified(threshold)
        deep = [each for each in whole.minima if each.persistence >= threshold * whole.range]
        assert [each.index for each in tree.minima] == [each.index for each in deep]
        assert tree.simplified(threshold) == tree
        for number, each in enumerate(tree.minima):
            if each.saddle is not None:
                assert tree.saddles[each.saddle].loss - each.loss == each.persistence
                assert tree.minima[each.elder].loss <= each.loss
                assert tree.minima[each.elder].persistence >= each.persistence
            above = tree.parents[number]
            if above is not None:
                assert tree.saddles[above - len(tree.minima)].loss > each.loss
        assert len(set(tree.parents)) == len(tree.saddles) + 1
    assert whole.simplified(0.0) == whole
    assert len(whole.simplified(0.99).minima) == 1


def test_a_constant_or_a_factor_changes_only_the_numbers() -> None:
    plane = square(surfaces.rough, 33, 1.0)
    tree = topology_of(plane)
    scaled = topology_of(replace(plane, loss=4 * plane.loss + 2))
    assert scaled.parents == tree.parents
    assert [each.index for each in scaled.minima] == [each.index for each in tree.minima]
    assert scaled.total_persistence == pytest.approx(4 * tree.total_persistence)
    names = ("relative_smad", "relative_persistence", "minima", "saddles")
    assert [scaled.numbers()[n] for n in names] == pytest.approx([tree.numbers()[n] for n in names])


@pytest.mark.parametrize("value", [-0.1, 1.0, np.nan, np.inf])
def test_a_threshold_is_a_share(value: float) -> None:
    with pytest.raises(ConfigError, match="share of the range"):
        topology_of(square(surfaces.bowl, 5, 1.0)).simplified(value)
