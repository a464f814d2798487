"""Samples of a subspace as plotly figures."""

import numpy as np
import pytest

from samar.charts.landscape.samples import distance_figure, projection_figure
from samar.charts.landscape.scale import shared_scale
from samar.landscapes.topology.merge_tree import topology_of_points
from samar.landscapes.topology.samples import Samples
from samar.web.plotly_chart import figure_json


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
    numbers = [FOUND.points, FOUND.distance, FOUND.loss, FOUND.loss_se, FOUND.accuracy]
    np.testing.assert_allclose(cloud.customdata, np.column_stack(numbers)[order], rtol=1e-6)
    place = ", ".join(f"%{{customdata[{number}]:.3~g}}" for number in range(4))
    assert cloud.hovertemplate == (
        f"{place}<br>%{{customdata[4]:.3~g}} from the network<br>loss %{{customdata[5]:.4~g}}"
        " ± %{customdata[6]:.2~g}<br>accuracy %{customdata[7]:.1%}<extra></extra>"
    )
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


@pytest.mark.parametrize("draw", [distance_figure, projection_figure])
def test_of_many_points_numbers_travel_and_no_sentences(draw) -> None:
    many = two_wells(3000)
    text = figure_json(draw(many, shared_scale([many], "loss", True), "net"))
    numbers = 3000 * (4 + 4 + 3)  # what is told, and two coordinates and a colour
    assert len(text) < 4 * numbers * 4 / 3 + 3000


@pytest.mark.parametrize("draw", [distance_figure, projection_figure])
def test_what_is_not_known_of_a_point_is_not_told(draw) -> None:
    whole = two_wells(30, 3)
    loss, accuracy = whole.loss.copy(), whole.accuracy.copy()
    loss[[4, 7]] = accuracy[[4, 7]] = np.nan
    accuracy[9] = np.nan
    found = Samples(whole.points, whole.distance, loss, accuracy, loss_se=0.1 * loss)
    clouds = draw(found, shared_scale([found], "loss", True), "net").data[:-1]
    assert [len(cloud.x) for cloud in clouds] == [2, 1, 27]
    words = [cloud.hovertemplate for cloud in clouds]
    assert ["±" in each for each in words] == [False, True, True]
    assert ["accuracy" in each for each in words] == [False, False, True]
    told = np.concatenate([cloud.customdata for cloud in clouds])
    assert sorted(told[:, 3]) == pytest.approx(sorted(found.distance), rel=1e-6)
    assert [cloud.marker.showscale for cloud in clouds].count(True) <= 1
    alone = Samples(whole.points, whole.distance, whole.loss, whole.accuracy)
    (cloud, _) = draw(alone, shared_scale([alone], "loss", True), "net").data
    assert "±" not in cloud.hovertemplate
    assert "accuracy" in cloud.hovertemplate
