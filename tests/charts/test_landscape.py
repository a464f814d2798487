from dataclasses import replace

import numpy as np
import pytest

from samar.charts.html.landscape import standalone_html
from samar.charts.landscape.figures import (
    contour_figure,
    slices_figure,
    surface_figure,
)
from samar.charts.landscape.scale import Scale, shared_scale
from samar.landscapes.result import Ball, Landscape, Trail
from samar.landscapes.topology.report import told as told_of


def plane(height: float = 1.0, points: int = 9, **extra) -> Landscape:
    x, y = np.linspace(-1, 1, points), np.linspace(-2, 2, points)
    loss = height * (0.1 + x[None] ** 2 + 3 * y[:, None] ** 2)
    manifest = {"labels": ["one", "two"], "directions": "filter"} | extra.pop("manifest", {})
    done = np.ones_like(loss, dtype=bool)
    return Landscape((x, y), loss, np.clip(1 - loss / 10, 0, 1), done, manifest, **extra)


@pytest.mark.parametrize("draw", [surface_figure, contour_figure])
def test_rows_are_y_and_columns_x(draw) -> None:
    found = plane()
    figure = draw(found, shared_scale([found], "loss", False), "net")
    trace = figure.data[0]
    np.testing.assert_allclose(trace.x, found.axes[0])
    np.testing.assert_allclose(trace.y, found.axes[1])
    np.testing.assert_allclose(trace.z, np.minimum(found.loss, 13.1), rtol=1e-6)
    assert "loss 12.1" in trace.text[0][4], "the label tells what was measured"


def test_an_adaptive_plane_shows_what_is_measured_and_how_sure_it_is() -> None:
    whole = plane()
    done = whole.done.copy()
    done[3, 3] = done[4, 0] = False
    errors = [np.where(done, value, np.nan) for value in (0.25, 0.0125)]
    known = {"loss_se": errors[0], "difference_se": errors[1]}
    found = replace(whole, done=done, manifest=whole.manifest | {"sampling": "adaptive"}, **known)
    figure = contour_figure(found, shared_scale([found], "loss", False), "net")
    dots = next(trace for trace in figure.data if trace.name == "measured")
    assert len(dots.x) == 79
    assert (found.axes[0][3], found.axes[1][3]) not in set(zip(dots.x, dots.y, strict=True))
    assert "(interpolated)" in figure.data[0].text[3][3]
    assert "±" not in figure.data[0].text[3][3]
    assert "loss 12.1 ± 0.25<br>difference to the network ± 0.013" in figure.data[0].text[0][4]
    across, along = slices_figure([("net", found)], shared_scale([found], "loss", False)).data
    assert list(across.marker.size) == [0] + 8 * [6], "one point of it is interpolated"
    assert along.marker.size == 6
    plain = contour_figure(whole, shared_scale([whole], "loss", False), "net")
    assert not any(trace.name == "measured" for trace in plain.data)


def test_only_the_figure_is_cut_off() -> None:
    found = plane()
    loss = found.loss.copy()
    loss[0, 0], loss[8, 8] = 1e6, np.nan
    found = Landscape(found.axes, loss, found.accuracy, found.done, found.manifest)
    scale = shared_scale([found], "loss", False)
    assert scale.bounds[1] < 100
    figure = contour_figure(found, scale, "net")
    assert figure.data[0].z[0, 0] == pytest.approx(scale.bounds[1])
    assert np.isnan(figure.data[0].z[8, 8])
    assert "cut off at" in figure.layout.title.text
    assert found.loss[0, 0] == 1e6


@pytest.mark.parametrize("log", [False, True])
def test_two_landscapes_share_one_scale(log: bool) -> None:
    low, high = plane(1), plane(3)
    scale = shared_scale([low, high], "loss", log)
    figures = [surface_figure(each, scale, "net") for each in (low, high)]
    assert figures[0].data[0].cmin == figures[1].data[0].cmin
    assert figures[0].data[0].cmax == figures[1].data[0].cmax
    assert figures[0].layout.scene.zaxis.range == figures[1].layout.scene.zaxis.range
    if log:
        assert 10 ** figures[1].data[0].cmax == pytest.approx(high.loss.max())
        assert figures[0].data[0].z.max() == pytest.approx(np.log10(low.loss.max()), rel=1e-6)


def test_ball_and_path_lie_on_the_plane_and_play() -> None:
    turns = np.linspace(0, 6, 7)
    ball = Ball(0.1, np.stack([np.cos(turns), np.sin(turns)], 1), np.full(7, 0.5))
    names = tuple("abcde")
    places = np.stack([np.arange(5.0), np.arange(5.0)], 1)
    path = Trail(places, np.ones(5), np.linspace(1, 2, 5), np.ones(5), names)
    found = plane(ball=ball, trail=path)
    scale = shared_scale([found], "loss", False)
    flat, solid = contour_figure(found, scale, "net"), surface_figure(found, scale, "net")
    assert [trace.name for trace in flat.data[1:]] == ["ρ = 0.1", "networks"]
    assert flat.data[1].x[0] == flat.data[1].x[-1]
    assert len(flat.frames) == 5
    assert not flat.layout.updatemenus, "the page's clock plays it"
    film = solid.layout.meta["film"]
    assert (film["last"], film["grow"]) == (4, [2])
    assert len(flat.frames[2].data[0].x) == 3
    np.testing.assert_allclose(flat.data[2].marker.color, path.loss, rtol=1e-6)
    assert "1 off the plane" in flat.data[2].text[0]
    assert (solid.data[2].z >= path.loss - 1e-6).all()


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("height", [1e-9, 1e-3, 1.0])
def test_small_losses_are_drawn_as_large_ones_are(height: float, log: bool) -> None:
    found = plane(height)
    scale = shared_scale([found], "loss", log)
    assert scale.bounds == pytest.approx((0.1 * height * log, 13.1 * height))
    drawn = contour_figure(found, scale, "net").data[0]
    assert [drawn.zmin, drawn.zmax] == pytest.approx(scale.drawn(np.array(scale.bounds)).tolist())


def test_slices_of_one_plane_and_of_two() -> None:
    low, high = plane(1), plane(3)
    figure = slices_figure([("net", low)], shared_scale([low], "loss", False))
    np.testing.assert_allclose(figure.data[0].y, low.loss[4], rtol=1e-6)
    np.testing.assert_allclose(figure.data[1].y, low.loss[:, 4], rtol=1e-6)
    two = [("first", low), ("second", high)]
    figure = slices_figure(two, shared_scale([low, high], "accuracy", True), ["sgd", "samar"])
    assert [trace.name for trace in figure.data] == ["first", "second"]
    assert [trace.line.dash for trace in figure.data] == ["dot", "solid"]
    np.testing.assert_allclose(figure.data[1].y, 100 * high.accuracy[4], rtol=1e-6)


def test_labels_of_a_narrow_logarithm_differ_and_lie_in_it() -> None:
    for bounds in ((2.3020, 2.3025), (0.1, 0.1), (0.5, 40.0)):
        scale = Scale("loss", True, bounds)
        ticks, (low, high) = scale.ticks(), scale.drawn_bounds
        assert len(set(ticks["ticktext"])) == len(ticks["ticktext"]) >= 3
        room = (high - low) / 4
        assert all(low - room < at < high + room for at in ticks["tickvals"])
        told = np.log10([float(text) for text in ticks["ticktext"]])
        assert told == pytest.approx(ticks["tickvals"])


def test_a_line_between_networks_shows_its_barrier() -> None:
    alpha = np.linspace(-0.5, 1.5, 9)
    loss = 1 + alpha * (1 - alpha)
    manifest = {"labels": ["to the other"], "directions": "between"}
    found = Landscape((alpha,), loss, np.ones(9), np.ones(9, dtype=bool), manifest)
    figure = slices_figure([("a to b", found)], shared_scale([found], "loss", False))
    assert "barrier 0.25" in figure.layout.title.text
    assert figure.data[1].name == "chord"
    percent = slices_figure([("a to b", found)], shared_scale([found], "accuracy", False))
    assert "barrier" not in percent.layout.title.text, "that of the loss is no percentage"
    assert percent.data[1].name == "chord"


def test_the_page_stands_alone_and_escapes() -> None:
    page = standalone_html("<b>net</b>", plane())
    assert "&lt;b&gt;net" in page
    assert "<script src" not in page
    assert "<link" not in page.split("<h1>")[0]
    assert page.count("Plotly.newPlot(") >= 3


def test_a_page_carries_the_marks_it_is_given() -> None:
    x = np.linspace(-1.5, 1.5, 33)
    well = (x**2 - 1) ** 2 + 0.1 * x + 0.2
    line = Landscape((x,), well, np.ones(33), np.ones(33, dtype=bool), {"labels": ["x"]})
    for found in (plane(), line):
        plain, marked = (standalone_html("net", found, told) for told in (None, told_of(found)))
        for word in ("Merge tree", "Persistence diagram", "Minima of a slice are not"):
            assert word not in plain
            assert word in marked
        assert plain.count('"minima"') == 0
        assert marked.count('"minima"') >= 2


def test_the_page_of_a_loss_below_zero_is_no_logarithm() -> None:
    found = plane()
    low = replace(found, loss=found.loss - 20)
    for each, log in ((found, True), (low, False)):
        assert ("(log scale)" in standalone_html("net", each)) == log
    assert "(log scale)" not in standalone_html("net", found, log=False)
    assert "correct (%)" in standalone_html("net", found, quantity="accuracy")
