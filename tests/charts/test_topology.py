"""Marks over a landscape, persistence diagram and merge tree, as plotly figures."""

import numpy as np
import pytest

from samar.charts.landscape.figures import contour_figure, slices_figure, surface_figure
from samar.charts.landscape.scale import shared_scale
from samar.charts.landscape.topology import (
    bounds_of,
    marks,
    merge_tree_figure,
    persistence_figure,
)
from samar.landscapes.topology.merge_tree import topology_of
from tests.landscapes.topology import surfaces
from tests.landscapes.topology.surfaces import plane_of, square

WELLS = square(surfaces.wells, 33, 2.0)
TREE = topology_of(WELLS)
ROUGH = topology_of(square(surfaces.rough, 33, 1.0))


def test_minima_and_saddles_are_marked_at_their_loss() -> None:
    scale = shared_scale([WELLS], "loss", False)
    flat = contour_figure(WELLS, scale, "net", TREE)
    solid = surface_figure(WELLS, scale, "net", TREE)
    for figure in (flat, solid):
        found = {trace.name: trace for trace in figure.data[1:]}
        assert list(found)[:3] == ["the network", "minima", "saddles"]
        assert list(found["minima"].x) == [-1.0, 1.0]
        assert list(found["minima"].y) == [0.0, 0.25]
        assert "persistence 0.62" in found["minima"].text[1]
        assert "the lowest" in found["minima"].text[0]
    lift = 0.01 * np.diff(scale.drawn_bounds)
    heights = {trace.name: trace for trace in solid.data[1:]}["saddles"].z
    np.testing.assert_allclose(heights, TREE.saddles[0].loss + lift, rtol=1e-6)
    assert [trace.name for trace in flat.data[4:]] == []
    below = solid.data[4:]  # the surface hides what lies in its pits
    assert [trace.name for trace in below] == ["minima, from above", "saddles, from above"]
    assert {z for trace in below for z in trace.z} == {solid.layout.scene.zaxis.range[0]}


def test_minima_at_the_border_are_hollow() -> None:
    tree = topology_of(square(lambda x, y: x + 0.2 * np.cos(9 * y), 33, 1.0))
    found = {each["name"]: each for each in marks(tree)}
    assert all(each.border for each in tree.minima)
    assert list(found) == ["minima at the border", "saddles"]
    assert found["minima at the border"]["marker"]["symbol"] == "circle-open"
    assert "lowest place at the border" in found["minima at the border"]["text"][0]


@pytest.mark.parametrize("log", [False, True])
def test_a_persistence_diagram_stands_above_its_diagonal(log: bool) -> None:
    scale = shared_scale([WELLS], "loss", log)
    bounds = bounds_of([TREE, ROUGH] if not log else [TREE], log=log)
    figure = persistence_figure(TREE, scale, "net", bounds)
    diagonal, *found = figure.data
    assert list(diagonal.x) == list(diagonal.y) == list(bounds)
    points = {trace.name: (list(trace.x), list(trace.y)) for trace in found}
    assert points["basins"] == ([TREE.pairs[0, 0]], [TREE.pairs[0, 1]])
    assert points["lowest, never ends"] == ([TREE.lowest], [TREE.highest])
    shown = np.log10(bounds) if log else bounds
    assert list(figure.layout.yaxis.range) == pytest.approx(list(shown))
    assert figure.layout.meta["alt"]


@pytest.mark.parametrize("tree", [TREE, ROUGH, ROUGH.simplified(0.2)], ids=["2", "many", "few"])
def test_branches_of_a_merge_tree_rise_and_do_not_cross(tree) -> None:
    figure = merge_tree_figure(tree, shared_scale([WELLS], "loss", False), "net", (-3, 3))
    branches = figure.data[0]
    cut = [list(branches.x)[i : i + 3] for i in range(0, len(branches.x), 4)]
    high = [list(branches.y)[i : i + 3] for i in range(0, len(branches.y), 4)]
    assert len(cut) == len(tree.minima) + len(tree.saddles)
    assert sorted(x for x, *_ in cut[: len(tree.minima)]) == list(range(len(tree.minima)))
    assert all(low <= top == end for low, top, end in high)
    for x, _, end in cut:  # nothing stands under a bar that is not of its own subtree
        bar = (min(x, end), max(x, end))
        level = next(h[1] for c, h in zip(cut, high, strict=True) if c == [x, x, end])
        for other, below in zip(cut, high, strict=True):
            inside = bar[0] < other[0] < bar[1]
            assert not (inside and below[0] < level < below[1])
    assert sum(len(trace.x) for trace in figure.data[1:]) == len(cut)


def test_minima_and_maxima_of_a_line_are_marked_on_it() -> None:
    x = np.linspace(-1.5, 1.5, 65)
    line = plane_of((x**2 - 1) ** 2 + 0.1 * x + 0.2, reach=1.5)
    tree = topology_of(line)
    scale = shared_scale([line], "loss", True)
    figure = slices_figure([("net", line)], scale, trees=[tree])
    curve, minima, maxima = figure.data
    assert (minima.name, maxima.name) == ("minima", "maxima")
    np.testing.assert_allclose(sorted(minima.x), [-1, 1], atol=0.05)
    assert maxima.x[0] == pytest.approx(0, abs=0.05)
    for trace in (minima, maxima):  # a line is drawn as it is measured, its axis may be logarithmic
        assert set(trace.y) <= set(line.loss)
        assert set(np.float32(trace.y)) <= set(curve.y)
    assert "maximum at" in maxima.text[0]
    two = slices_figure([("a", line), ("b", line)], scale, trees=[tree, tree])
    shown = [trace.showlegend for trace in two.data if trace.name == "minima"]
    assert shown == [True, False]
    accuracy = shared_scale([line], "accuracy", False)
    assert len(slices_figure([("net", line)], accuracy, trees=[tree]).data) == 1
    plane = slices_figure([("net", WELLS)], shared_scale([WELLS], "loss", False), trees=[TREE])
    assert "minima" not in {trace.name for trace in plane.data}
    assert {trace.name for trace in merge_tree_figure(tree, scale, "", (0, 2)).data} == {
        "branches",
        "minima",
        "maxima",
    }
