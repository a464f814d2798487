"""The playground's figures show the recorded numbers, at every step."""

import html
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from samar.charts.html.playground import standalone_html
from samar.charts.playground import Ground, panels, plane, surface
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


def test_heights_lie_on_the_surface_and_below_its_top() -> None:
    ground = Ground(CONFIG)
    head = moving(surface(CONFIG, PATHS, None), "SGD")
    points = PATHS["sgd"].positions
    heights = np.minimum(ground.loss.value(points[:, 0], points[:, 1]), ground.high)
    assert np.allclose(head["z"][:, 0] - heights, head["z"][0, 0] - heights[0], atol=1e-4)
    assert ground.cut.max() <= ground.high
    assert ground.value.max() > ground.high


def test_sgd_has_no_ball_and_nothing_is_focused_without_a_name() -> None:
    names = {trace.name for trace in plane(CONFIG, PATHS, "sgd").data}
    assert "−gradient here" in names
    assert not {"ε, uphill", "−gradient at x+ε"} & names
    assert "−gradient here" not in {t.name for t in plane(CONFIG, PATHS, None).data}


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


def test_a_negative_loss_is_drawn_above_the_lowest_and_told_as_it_is() -> None:
    config = CONFIG.changed(depth=-1.0, x=1.5)
    paths = descend(config)
    losses = [trace for trace in panels(config, paths).data if trace.yaxis == "y3" and trace.name]
    lowest = min(path.loss.min() for path in paths.values())
    assert lowest < -0.5
    for trace, path in zip(losses, paths.values(), strict=True):
        assert np.allclose(trace.y, np.maximum(path.loss - lowest, 1e-4), rtol=1e-4)
        assert np.allclose(trace.customdata, path.loss, rtol=1e-5)
        assert "%{customdata:" in trace.hovertemplate
    titles = [
        [note.text for note in panels(*shown).layout.annotations][-1]
        for shown in ((config, paths), (CONFIG, PATHS))
    ]
    assert titles == ["<b>loss above the lowest reached</b>", "<b>loss</b>"]


def test_panels_without_samar_and_with_nothing() -> None:
    sgd = panels(CONFIG, {"sgd": PATHS["sgd"]})
    assert [trace.name for trace in sgd.data if trace.name] == ["SGD"]
    assert film(panels(CONFIG, {}))["last"] == 0


def test_the_page_holds_all_it_needs() -> None:
    figures = [(plane(CONFIG, PATHS, "samar"), 500), (panels(CONFIG, PATHS), 400)]
    page = standalone_html("A <b>title</b>", "What happened.", figures, CONFIG.effective)
    assert "A &lt;b&gt;title" in page
    assert '"landscape": "valleys"' in html.unescape(page)
    assert "src=" not in page.split("<script>")[0]
    drawn = json.loads(page.split("const FIGURES = ")[1].split(";\nconst HEIGHTS = ")[0])
    assert [figure["layout"]["meta"]["film"]["last"] for figure in drawn] == [40, 40]
