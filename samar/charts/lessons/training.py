"""Figures of lessons about training runs: who memorizes, what ρ and λ do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.lessons.parts import line, moving, words_panel
from samar.charts.smoothing import Floats
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed only.

    Attributes:
        title: what a person reads, such as ``SAM ρ 0.5``.
        optimizer: key of :data:`samar.charts.theme.OPTIMIZER_STYLES`.
        train, test: accuracies (seeds,) as fractions, after the last epoch.
    """

    title: str
    optimizer: str
    train: Floats
    test: Floats


def memory_figure(groups: Sequence[Group]) -> go.Figure:
    """Training accuracy (hollow) and test accuracy (filled) of every seed, means as bars."""
    traces: list[dict[str, Any]] = []
    for number, group in enumerate(groups):
        style = OPTIMIZER_STYLES[group.optimizer]
        mean = 100 * float(group.test.mean())
        spread = np.linspace(-0.16, 0.16, len(group.test))
        bar = {"type": "scatter", "mode": "lines+text", "textposition": "top center"}
        traces.append(
            bar
            | {"x": [number - 0.3, number + 0.3], "y": [mean, mean], "hoverinfo": "skip"}
            | {"line": {"color": style.color, "width": 5}, "showlegend": False}
        )
        for kind, values, marker in (
            ("trained on", group.train, {"symbol": "circle-open", "color": NEUTRAL, "size": 9}),
            ("test", group.test, {"symbol": style.symbol, "color": style.color, "size": 10}),
        ):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": number + spread,
                    "y": 100 * values,
                    "marker": marker,
                    "name": kind,
                    "legendgroup": kind,
                    "showlegend": number == 0,
                    "hovertemplate": f"{group.title}, {kind}: %{{y:.1f}} %<extra></extra>",
                }
            )
    means = ", ".join(
        f"{group.title} {100 * group.test.mean():.1f} % (trained on {100 * group.train.mean():.0f})"
        for group in groups
    )
    titles = [f"{g.title}<br><b>{100 * g.test.mean():.1f} %</b>" for g in groups]
    figure = words_panel(
        traces,
        title="Accuracy after the last epoch, five seeds",
        alt=f"Mean test accuracy of each method over five seeds: {means}.",
        x={"title": "", "tickvals": list(range(len(groups))), "ticktext": titles},
        y={"title": "correct (%)"},
    )
    figure.update_layout(hovermode="closest", xaxis_showgrid=False, xaxis_zeroline=False)
    return figure


def curves_figure(
    curves: Mapping[str, tuple[str, Floats]], until: int, *, title: str, y_title: str, what: str
) -> go.Figure:
    """Shares per epoch, in percent, growing with the epochs.

    Args:
        curves: title to optimizer and values (epochs,) as fractions.
        until: the last epoch shown.
    """
    moments = np.arange(until + 1)  # the first two are alike: nothing was measured before epoch 1
    traces = [
        line(np.maximum(moments, 1), 100 * values[np.maximum(moments - 1, 0)], name, optimizer)
        for name, (optimizer, values) in curves.items()
    ]
    ends = ", ".join(f"{n} {100 * v[until - 1]:.0f} %" for n, (_, v) in curves.items())
    epochs = len(next(iter(curves.values()))[1])
    figure = words_panel(
        traces,
        title=title,
        alt=f"{what} over epochs; after epoch {until}: {ends}.",
        x={"title": "epoch", "range": [0, epochs + 1]},
        y={"title": y_title, "range": [-3, 103]},
    )
    return moving(figure, until, "epoch", range(len(traces)))


def digits_figure(
    images: Any, right: Any, given: Any, answers: Mapping[str, Any], columns: int = 6
) -> go.Figure:
    """Wrongly labelled training images, with the label given and what each network answers.

    Args:
        images: uint8 (n, 8, 8).
        right, given: (n,) digits.
        answers: title of a network to its answers (n,).
    """
    count, size = len(images), images.shape[1]
    rows = count // columns
    cell_w, cell_h = size + 3, size + 2 + 3 * (1 + len(answers))
    canvas = np.full((rows * cell_h, columns * cell_w), np.nan)
    notes = []
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        top, left = row * cell_h, column * cell_w
        canvas[top : top + size, left : left + size] = images[number]
        lines = [f"labelled {given[number]}"]
        for title, says in answers.items():
            mark = "✓" if says[number] == right[number] else "✗"
            lines.append(f"{title}: {says[number]} {mark}")
        place = {"x": left + size / 2 - 0.5, "y": top + size, "yanchor": "top"}
        notes.append({"text": "<br>".join(lines), "showarrow": False, "font": {"size": 11}} | place)
    scores = ", ".join(
        f"{title} sees through {int((says == right).sum())} of {count}"
        for title, says in answers.items()
    )
    heat = {"type": "heatmap", "z": canvas.astype(np.float32), "showscale": False}
    heat |= {"colorscale": [[0, "#f4f4f4"], [1, "#101010"]], "zmin": 0, "zmax": 255}
    bare: dict[str, Any] = {"visible": False, "title": ""}
    figure = words_panel(
        [heat | {"hoverinfo": "skip"}],
        title="Wrongly labelled training images",
        alt=f"Digits that were trained on with a wrong label; {scores}.",
        x=bare,
        y=bare | {"range": [rows * cell_h, -1], "scaleanchor": "x", "constrain": "domain"},
    )
    figure.update_layout(annotations=notes, hovermode=False, margin={"l": 8, "r": 8})
    return figure


def radius_figure(rho: Floats, test: Any, train: Any) -> go.Figure:
    """Accuracy over ρ: every seed as a mark, the means joined.

    Args:
        rho: (n,) positive, ascending.
        test, train: (n, seeds) as fractions.
    """
    style = OPTIMIZER_STYLES["sam"]
    repeated = np.repeat(rho, test.shape[1])
    traces = [
        line(rho, 100 * train.mean(axis=1), "trained on"),
        line(rho, 100 * test.mean(axis=1), "test", "sam"),
        {
            "type": "scatter",
            "mode": "markers",
            "x": repeated,
            "y": 100 * test.ravel(),
            "marker": {"symbol": style.symbol, "color": style.color, "size": 8},
            "name": "test, one seed",
            "showlegend": False,
            "hovertemplate": "%{y:.1f}",
        },
    ]
    pairs = ", ".join(f"ρ {r:g}: {100 * t.mean():.0f} %" for r, t in zip(rho, test, strict=True))
    return words_panel(
        traces,
        title="SAM on digits with 40 % wrong labels",
        alt=f"Mean test accuracy over the radius: {pairs}.",
        x={"title": "radius ρ", "type": "log", "tickvals": rho.tolist()},
        y={"title": "correct (%)", "range": [0, 103]},
        shapes=[_chance()],
    )


def _chance() -> dict[str, Any]:
    text = {"text": "guessing: 10 %", "textposition": "start", "yanchor": "bottom"}
    place = {"xref": "paper", "x0": 0, "x1": 1, "y0": 10, "y1": 10}
    return {"type": "line", "line": {"dash": "dot", "width": 1}, "label": text, **place}
