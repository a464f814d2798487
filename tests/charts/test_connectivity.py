"""Figures of paths between networks: paths with their errors, pairs, the plane."""

import numpy as np
import pytest

from samar.charts.connectivity import pairs_figure, paths_figure, plane_figure
from samar.charts.html.connectivity import standalone_html
from samar.charts.landscape.scale import shared_scale
from samar.connectivity.result import Along, Connection, Path
from samar.landscapes.result import Landscape, Trail

T = np.linspace(0, 1, 5)


def along(lift: float) -> Along:
    random = np.random.default_rng(0)
    losses = random.random((1, 9)) + lift * (T * (1 - T))[:, None] + 0.01 * random.random((5, 9))
    return Along.of(T, losses, random.random((5, 9)) > 0.2)


@pytest.fixture
def found() -> Connection:
    training = np.stack([np.linspace(0, 1, 1000), np.linspace(2, 1, 1000)], axis=1)
    paths = (
        Path("line", False, T, {"test": along(4.0)}, np.empty((0, 2))),
        Path("line", True, T, {"test": along(1.0)}, np.empty((0, 2))),
        Path("chain", True, T, {"test": along(0.0)}, training),
    )
    return Connection(paths, {"title": "a to b"})


@pytest.fixture
def plane() -> Landscape:
    axis = np.linspace(-0.5, 1.5, 5)
    curve = np.stack([T, 0.4 * np.minimum(T, 1 - T)], axis=1)
    trail = Trail(curve, np.zeros(5), np.ones(5), np.ones(5), tuple("abcde"))
    facts = {"directions": "between", "labels": ["x", "y"], "bend": [0.5, 0.2], "curve": "chain"}
    loss, done = 1 + np.arange(25.0).reshape(5, 5), np.ones((5, 5), bool)
    return Landscape((axis, axis.copy()), loss, loss / 30, done, facts, trail)


def test_every_path_is_drawn_with_its_standard_errors(found: Connection) -> None:
    figure = paths_figure(found, "test", "loss")
    *curves, ends = figure.data
    assert [each.name for each in curves] == [path.title for path in found.paths]
    for curve, path in zip(curves, found.paths, strict=True):
        np.testing.assert_allclose(curve.y, path.along["test"].loss, rtol=1e-6)
        np.testing.assert_allclose(curve.error_y.array, path.along["test"].loss_error, rtol=1e-6)
    assert list(ends.y) == pytest.approx(found.paths[0].along["test"].loss[[0, -1]].tolist())
    styles = {(each.line.color, each.line.dash, each.marker.symbol) for each in curves}
    assert len(styles) == 3, "no two look alike"
    accuracy = paths_figure(found, "test", "accuracy").data[0]
    np.testing.assert_allclose(accuracy.y, 100 * found.paths[0].along["test"].accuracy, rtol=1e-6)


def test_every_pair_has_a_mark() -> None:
    groups = {"one start": np.array([[0.0, 0.0]]), "two starts": np.array([[1.0, 0.2], [1.4, 0.3]])}
    plain, aligned = pairs_figure(groups, "test images").data
    assert list(plain.y) == pytest.approx([0, 1, 1.4])
    assert list(aligned.y) == pytest.approx([0, 0.2, 0.3])
    assert list(plain.text) == ["one start", "two starts", "two starts"]


def test_the_plane_shows_networks_bend_and_curve(plane: Landscape) -> None:
    figure = plane_figure(plane, shared_scale([plane], "loss", True), "Chain")
    contour, curve, marks = figure.data
    assert contour.type == "contour"
    np.testing.assert_allclose(curve.x, T)
    assert [tuple(place) for place in zip(marks.x, marks.y, strict=True)] == [
        (0, 0),
        (1, 0),
        (0.5, pytest.approx(0.2)),
    ]
    assert list(marks.text) == ["first", "second", "bend"]
    assert not figure.frames, "it is no film"


def test_a_page_of_its_own_holds_everything(found: Connection, plane: Landscape) -> None:
    html = standalone_html(found, {True: plane}, "a <b> to c")
    for title in ("Loss along the paths", "Accuracy along the paths", "Training of the bend"):
        assert title in html
    assert "a &lt;b&gt; to c" in html
