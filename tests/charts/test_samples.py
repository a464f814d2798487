"""Samples of a subspace as plotly figures."""

import numpy as np
import pytest

from samar.charts.landscape.samples import distance_figure, projection_figure
from samar.charts.landscape.scale import shared_scale
from samar.landscapes.topology.merge_tree import topology_of_points
from samar.landscapes.topology.samples import Samples


def two_wells(count: int = 300, dim: int = 4) -> Samples:
    """Two wells in a cube."""
    points = np.random.default_rng(0).uniform(-1, 1, size=(count, dim))
    points[0] = 0
    loss = 0.1 + np.minimum(((points - 0.5) ** 2).sum(1), 0.2 + ((points + 0.5) ** 2).sum(1))
    manifest = {"labels": [f"direction {i}" for i in "abcd"[:dim]], "weight_norm": 12.5}
    distance = np.linalg.norm(points, axis=1)
    return Samples(points, distance, loss, np.exp(-loss), manifest, loss_se=0.1 * loss)


FOUND = two_wells()
TREE = topology_of_points(FOUND.points, FOUND.loss).simplified(0.1)


@pytest.mark.parametrize("log", [False, True])
def test_the_loss_stands_over_the_distance_with_its_marks(log: bool) -> None:
    figure = distance_figure(FOUND, shared_scale([FOUND], "loss", log), "net", TREE)
    traces = {trace.name: trace for trace in figure.data}
    cloud = traces["samples"]
    order = np.argsort(-FOUND.loss, kind="stable")
    np.testing.assert_allclose(cloud.x, FOUND.distance[order], rtol=1e-6)
    high = shared_scale([FOUND], "loss", log).bounds[1]
    np.testing.assert_allclose(cloud.y, np.minimum(FOUND.loss, high)[order], rtol=1e-6)
    told = cloud.text[0]
    assert f"loss {FOUND.loss.max():.4g} ± " in told
    assert f"{FOUND.distance[order[0]]:.3g} from the network" in told
    marks = [trace for name, trace in traces.items() if "minima" in name]
    marked = [pair for trace in marks for pair in zip(trace.x, trace.y, strict=True)]
    expected = [(FOUND.distance[each.index], each.loss) for each in TREE.minima]
    np.testing.assert_allclose(sorted(marked), sorted(expected))
    assert list(traces)[-1] == "the network"
    assert (traces["the network"].x[0], figure.layout.yaxis.type) == (0, "log" if log else None)
    assert "12.5" in figure.layout.xaxis.title.text
    assert "300 points in 4 directions" in figure.layout.meta["alt"]


def test_a_map_shows_two_of_the_directions() -> None:
    scale = shared_scale([FOUND], "loss", True)
    figure = projection_figure(FOUND, scale, "<b>net", TREE, across=(3, 1))
    cloud, *marked, network = figure.data
    order = np.argsort(-FOUND.loss, kind="stable")
    np.testing.assert_allclose(cloud.x, FOUND.points[order, 3], rtol=1e-6)
    np.testing.assert_allclose(cloud.y, FOUND.points[order, 1], rtol=1e-6)
    np.testing.assert_allclose(cloud.marker.color, np.log10(FOUND.loss[order]), rtol=1e-5)
    assert marked[0].x[0] in {each.position[3] for each in TREE.minima}
    assert network.name == "the network"
    assert "directions 4 and 2" in figure.layout.title.text
    assert "&lt;b&gt;net" in figure.layout.title.text
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == (
        "direction d",
        "direction b",
    )


def test_the_accuracy_has_no_minima_marked() -> None:
    scale = shared_scale([FOUND], "accuracy", False)
    for draw in (distance_figure, projection_figure):
        assert [trace.name for trace in draw(FOUND, scale, "net", TREE).data] == [
            "samples",
            "the network",
        ]


def test_losses_that_are_not_finite_spoil_no_figure() -> None:
    whole = two_wells(30, 3)
    loss = np.where(np.arange(30) % 2, np.nan, whole.loss)
    for values in (loss, np.full(30, np.nan)):
        found = Samples(whole.points, whole.distance, values, whole.accuracy)
        scale = shared_scale([found], "loss", True)
        for draw in (distance_figure, projection_figure):
            assert len(draw(found, scale, "net").data[0].x) == 30
