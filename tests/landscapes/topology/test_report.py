import csv
import io
import json
from dataclasses import replace

import numpy as np

from samar.landscapes.topology.merge_tree import topology_of
from samar.landscapes.topology.report import as_json, coarsened, reading, told, tree_csv
from tests.landscapes.topology import surfaces
from tests.landscapes.topology.surfaces import plane_of, square


def said(*arguments) -> str:
    return " ".join(reading(*arguments)).replace("\u00a0", " ")


def test_two_basins_are_told_with_depth_and_mean_climb() -> None:
    tree = topology_of(square(surfaces.wells, 33, 2.0)).simplified(0.01)
    words = said(tree)
    assert (
        "2 minima deeper than 1 % of the range of the loss (0.0135), which merge at 1 sad" in words
    )
    assert "at (1, 0.25), the loss has to climb 0.62." in words
    assert "climbs 0.772 from a minimum to the first saddle above it, 57.2 %" in words
    assert "border" not in words


def test_a_bowl_is_one_basin_and_a_slope_has_no_known_minimum() -> None:
    words = said(topology_of(square(surfaces.bowl, 9, 1.0)).simplified(0.01))
    assert "One basin" in words
    assert "at (0, 0) that climbs less than 1 % of the range of the loss (0.04)" in words
    assert "SMAD" not in words
    words = said(topology_of(square(lambda x, y: x + y, 9, 1.0)).simplified(0.01))
    assert "It lies at the border, where the loss may go on falling" in words
    assert "same at every" in said(topology_of(plane_of(np.ones((5, 5)))))


def test_what_is_left_out_and_apart_is_told() -> None:
    loss = square(surfaces.bowl, 9, 1.0).loss.copy()
    loss[:, 4] = np.nan
    words = said(topology_of(plane_of(loss)))
    assert "fall into 2 parts" in words
    assert "9 points are not finite" in words
    assert "All of them lie at the border, or beside points that are not finite." in words
    assert "a larger range" not in words


def test_the_coarser_grid_speaks_for_or_against_the_count() -> None:
    tree, words = told(square(surfaces.wells, 33, 2.0))
    assert "On every second point alone there are as many." in words
    assert len(tree.minima) == 2
    rough = square(lambda x, y: np.cos(8 * np.pi * x) + x**2 + y**2, 17, 1.0)
    coarse = coarsened(rough)
    assert coarse is not None
    assert coarse.loss.shape == (9, 9)
    np.testing.assert_array_equal(coarse.loss, rough.loss[::2, ::2])
    assert any("so that the points decide" in each for each in told(rough)[1])
    assert coarsened(square(surfaces.bowl, 5, 1.0)) is None
    half_gone = rough.loss.copy()
    half_gone[::2, ::2] = np.nan
    assert told(plane_of(half_gone))[0].left_out == 81


def test_interpolated_points_are_told() -> None:
    plane = square(surfaces.wells, 17, 2.0)
    done = np.zeros_like(plane.done)
    done[::2, ::2] = True
    words = told(replace(plane, done=done))[1]
    assert any("The loss at 208 of 289 points is interpolated" in each for each in words)
    assert not any("interpolated" in each for each in told(plane)[1])


def test_json_and_csv_hold_the_whole_tree() -> None:
    tree = topology_of(square(surfaces.rough, 33, 1.0))
    content = json.loads(json.dumps(as_json(tree, title="net"), allow_nan=False))
    assert (content["title"], content["minima"]) == ("net", len(tree.minima))
    assert content["minima_found"][0]["persistence"] is None
    assert content["smad"] == tree.smad
    rows = list(csv.DictReader(io.StringIO(tree_csv(tree))))
    assert [row["kind"] for row in rows].count("saddle") == len(tree.saddles)
    nodes = (*tree.minima, *tree.saddles)
    for row, node, parent in zip(rows, nodes, tree.parents, strict=True):
        assert (float(row["alpha"]), float(row["beta"])) == node.position
        assert float(row["loss"]) == node.loss
        assert row["parent"] == ("" if parent is None else str(parent))
        assert int(row["border"]) == node.border
    assert [float(row["persistence"]) for row in rows[: len(tree.minima)]] == [
        each.persistence for each in tree.minima
    ]
