"""The playground's figures show the recorded numbers, at every step."""

import html
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from samar.charts.html.playground import standalone_html
from samar.charts.playground import panels, plane, surface
from samar.playground.descent import descend
from samar.playground.presets import PRESETS
from samar.playground.settings import PlaygroundSettings

CONFIG = PlaygroundSettings(steps=40)
PATHS = descend(CONFIG)
DIVERGED = PRESETS["large_rho"].config(steps=60)


def film(figure: go.Figure) -> dict[str, Any]:
    return figure.layout.meta["film"]


def moving(figure: go.Figure, name: str) -> dict[str, np.ndarray]:
    """What the last trace of a name shows at every step, row by row, as the browser finds it."""
    number = max(i for i, trace in enumerate(figure.data) if trace.name == name)
    if str(number) in film(figure)["rows"]:
        return film(figure)["rows"][str(number)]
    shape = dict(film(figure)["follow"][str(number)])
    line = figure.data[shape.pop("line")]
    steps = np.minimum(np.arange(film(figure)["last"] + 1), len(line.x) - 1)
    return {name: line[name][steps, None] + shape[name] for name in shape}


@pytest.mark.parametrize("draw", [plane, surface])
def test_points_paths_and_ball_follow_the_numbers(draw: Any) -> None:
    figure = draw(CONFIG, PATHS, "samar")
    assert film(figure)["last"] == 40
    path = PATHS["samar"]
    head = moving(figure, "SAMAR")
    assert np.allclose(np.stack([head["x"][:, 0], head["y"][:, 0]], 1), path.positions, atol=1e-6)
    for number in film(figure)["grow"]:
        assert len(figure.data[number].x) == 41
    ball = moving(figure, "ρ = 0.7")
    radii = np.hypot(ball["x"] - path.positions[:, :1], ball["y"] - path.positions[:, 1:])
    assert np.allclose(radii, 0.7, atol=1e-5)
    up = moving(figure, "ε, uphill")
    assert np.allclose(up["x"][:-1, 1] - up["x"][:-1, 0], path.perturbations[:, 0], atol=1e-5)
    for rows in film(figure)["rows"].values():
        for column in rows.values():
            assert column.shape[0] == 41
            assert column.dtype == np.float32
            assert np.isfinite(column).all()


def test_the_ball_of_asam_is_measured_in_the_size_of_each_weight() -> None:
    settings = CONFIG.changed(adaptive=True)
    path = descend(settings)["samar"]
    ball = moving(plane(settings, {"samar": path}, "samar"), "ρ = 0.7")
    size = np.abs(path.positions[:-1])
    for axis, name in enumerate("xy"):
        assert np.allclose(np.ptp(ball[name][:-1], axis=1), 1.4 * size[:, axis], atol=1e-5)
    assert np.allclose(np.hypot(*(path.perturbations / size).T), 0.7), "ε ends on it"


def test_arrows_point_downhill_from_where_the_gradients_were_taken() -> None:
    figure, path = plane(CONFIG, PATHS, "sam"), PATHS["sam"]
    ahead = path.positions[:-1] + path.perturbations
    for name, tails, gradients in (
        ("−gradient here", path.positions[:-1], path.gradients),
        ("−gradient at x+ε", ahead, path.perturbed_gradients),
    ):
        rows = moving(figure, name)
        points = np.stack([rows["x"], rows["y"]], axis=-1)[:-1]
        assert np.allclose(points[:, 0], tails, atol=1e-5)
        arrows = points[:, 1] - points[:, 0]
        cosine = -(arrows * gradients).sum(1) / np.linalg.norm(arrows, axis=1)
        assert np.allclose(cosine, np.linalg.norm(gradients, axis=1), rtol=1e-2)


def test_a_diverged_path_stays_where_it_ended() -> None:
    paths = descend(DIVERGED)
    assert paths["samar"].steps < 60
    for draw in (plane, surface):
        figure = draw(DIVERGED, paths, "samar")
        head = moving(figure, "SAMAR")
        assert head["x"].shape == (61, 1)
        assert head["x"][-1, 0] == pytest.approx(paths["samar"].end[0], rel=1e-6)
        assert "SAMAR diverges" in figure.layout.meta["alt"]


def test_panels_show_lam_ratio_loss_and_the_present_step() -> None:
    figure, path = panels(CONFIG, PATHS), PATHS["samar"]
    lam, ratio, *losses = [trace for trace in figure.data if trace.name]
    assert np.allclose(lam.y, path.lam, rtol=1e-6)
    assert np.allclose(ratio.y[1:], path.ratio[1:], rtol=1e-5)
    assert [trace.name for trace in losses] == ["SGD", "SAM", "VaSSO", "SAMAR"]
    assert film(figure)["now"] == [6, 7, 8]
    assert [figure.data[number].yaxis for number in film(figure)["now"]] == ["y4", "y5", "y6"]
    assert f"λ ends at {path.lam[-1]:.2f}" in figure.layout.meta["alt"]


def test_the_page_holds_all_it_needs() -> None:
    figures = [(plane(CONFIG, PATHS, "samar"), 500), (panels(CONFIG, PATHS), 400)]
    page = standalone_html("A <b>title</b>", "What happened.", figures, CONFIG.effective)
    assert "A &lt;b&gt;title" in page
    assert '"landscape": "valleys"' in html.unescape(page)
    assert "src=" not in page.split("<script>")[0]
    drawn = json.loads(page.split("const FIGURES = ")[1].split(";\nconst HEIGHTS = ")[0])
    assert [figure["layout"]["meta"]["film"]["last"] for figure in drawn] == [40, 40]
