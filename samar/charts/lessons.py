"""Figures of the lessons: the loss on planes and lines, eigenvalues, rates, and training runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.scale import COLORS
from samar.charts.smoothing import Floats
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES, panel


def line(
    x: Floats, y: Floats, name: str, optimizer: str | None = None, **options: Any
) -> dict[str, Any]:
    """A curve in an optimizer's colour and dash, or in grey.

    Args:
        x, y: (n,); values that are not finite leave a gap.
    """
    style = OPTIMIZER_STYLES.get(optimizer or "")
    drawn: dict[str, Any] = {
        "color": style.color if style else NEUTRAL,
        "dash": style.dash if style else "longdash",
        "width": 2.5 if style else 1.5,
    }
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "x": np.asarray(x, dtype=np.float32),
        "y": np.asarray(y, dtype=np.float32),
        "name": name,
        "line": drawn,
        "hovertemplate": "%{y:.4~g}",
    }
    return trace | options


def moving(figure: go.Figure, last: int, label: str) -> go.Figure:
    """Let every trace grow point by point, over axes that show the whole from the start.

    What moves is said in ``layout.meta["film"]`` (see ``components/plotly_clock.js``).

    Args:
        figure: changed and returned.
        last: the last moment; traces then show ``last + 1`` points.
        label: what a moment is, such as ``epoch``.
    """
    spec = {"last": last, "label": label, "grow": list(range(len(figure.data)))}
    figure.layout.meta = {**(figure.layout.meta or {}), "film": spec}
    for axis, name in ((figure.layout.xaxis, "x"), (figure.layout.yaxis, "y")):
        if axis.range is None:
            axis.range = _range([trace[name] for trace in figure.data], axis.type == "log")
    return figure


def _range(arrays: Sequence[Any], logarithmic: bool) -> list[float]:
    values = np.concatenate([np.asarray(array, dtype=float).ravel() for array in arrays])
    values = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    if not values.size:
        return [0.0, 1.0]
    if logarithmic:
        values = np.log10(values)
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * max(high - low, 1e-6)
    return [low - margin, high + margin]


def landscape_figure(
    axes: Any, loss: Any, title: str, *, top: float, scale: bool = True
) -> go.Figure:
    """The loss on a plane around the network, moment by moment.

    Args:
        axes: (2, n) coordinates.
        loss: (m, n, n); the figure shows the last and has a frame for each, unless there is one.
        top: losses above are drawn as this; the bottom is 0.
        scale: draw the colour bar.
    """
    shown = np.minimum(loss, top).astype(np.float32)
    count, n = len(shown), shown.shape[1]
    contour = {
        "type": "contour",
        "x": np.asarray(axes[0], dtype=np.float32),
        "y": np.asarray(axes[1], dtype=np.float32),
        "z": shown[-1],
        "colorscale": COLORS,
        "zmin": 0,
        "zmax": top,
        "contours": {"start": 0, "end": top, "size": top / 12},
        "line": {"width": 0.6},
        "showscale": scale,
        "colorbar": {"title": {"text": "loss", "side": "right"}, "thickness": 12}
        | {"tick0": 0, "dtick": top / 4},
        "hovertemplate": "loss %{z:.3g}<extra></extra>",
    }
    here = {
        "type": "scatter",
        "mode": "markers",
        "x": [0],
        "y": [0],
        "marker": {"symbol": "cross", "size": 11, "color": "#ffffff"}
        | {"line": {"color": "#000000", "width": 1.5}},
        "name": "the network",
        "hovertemplate": "the network<extra></extra>",
    }
    middle = n // 2
    figure = panel(
        [contour, here],
        title=title,
        alt=f"Contour map of the loss around the network at {count} moments; at the centre "
        f"{loss[0, middle, middle]:.2f} at first, {loss[-1, middle, middle]:.2f} at last; "
        f"highest on the last {loss[-1].max():.3g}.",
        x_axis={"title": "direction 1", "zeroline": False},
        y_axis={"title": "direction 2", "zeroline": False},
    )
    figure.update_layout(hovermode="closest", showlegend=False)
    if count > 1:
        # An empty trace of a kind that plotly can only redraw: without, contours would stand still.
        figure.add_histogram(x=[], showlegend=False)
        figure.frames = [
            {"name": str(moment), "data": [{"type": "contour", "z": plane}], "traces": [0]}
            for moment, plane in enumerate(shown)
        ]
    return figure


def valley_line_figure(alpha: Floats, losses: Mapping[str, Floats]) -> go.Figure:
    """The loss on the straight line from one network (0) to another (1).

    Args:
        alpha: (n,) positions.
        losses: ``train`` and ``test`` (n,).
    """
    names = {"train": "training images", "test": "test images"}
    styles = {"train": (NEUTRAL, "dash"), "test": ("#0072B2", "solid")}
    traces = []
    for key, values in losses.items():
        color, dash = styles[key]
        traces.append(
            line(alpha, values, names[key]) | {"line": {"color": color, "dash": dash, "width": 2.5}}
        )
    high = max(float(v[(alpha >= -0.3) & (alpha <= 1.3)].max()) for v in losses.values())
    shapes = [_upright(0, "SGD's end"), _upright(1, "SAMAR's end")]
    return panel(
        traces,
        title="The straight line between the two ends",
        alt="Loss on the line from SGD's end to SAMAR's; on test images "
        f"{np.interp(0, alpha, losses['test']):.2f} at SGD's and "
        f"{np.interp(1, alpha, losses['test']):.2f} at SAMAR's.",
        x_axis={"title": "position on the line (0 is SGD's end, 1 is SAMAR's)"},
        y_axis={"title": "cross-entropy (nats)", "range": [0, 1.05 * high]},
        shapes=shapes,
    )


def stability_figure(
    at: Mapping[str, Floats],
    largest: Mapping[str, Floats],
    residual: Mapping[str, Floats],
    lr: float,
    until: int,
) -> go.Figure:
    """Largest eigenvalue of the full loss over steps against the level 2/η, point by point."""
    traces = []
    for name, values in largest.items():
        style = OPTIMIZER_STYLES[name]
        title = "gradient descent" if name == "sgd" else style.title
        bars = {"type": "data", "array": residual[name][:until].astype(np.float32), "width": 2}
        traces.append(
            line(at[name][:until], values[:until], title, name, error_y=bars | {"thickness": 1})
        )
    bound = 2 / lr
    ends = ", ".join(f"{OPTIMIZER_STYLES[n].title} {v[until - 1]:.1f}" for n, v in largest.items())
    whole = next(iter(at.values()))
    top = max(bound, *(float(v.max()) for v in largest.values()))
    figure = panel(
        traces,
        title="Largest eigenvalue against 2/η",
        alt=f"Largest Hessian eigenvalue over steps beside 2/η = {bound:g}; at last: {ends}.",
        x_axis={"title": "step (all images at once)", "range": [0, float(whole[-1])]},
        y_axis={"title": "largest eigenvalue h₁", "range": [0, 1.08 * top]},
        shapes=[_level(bound, f"2/η = {bound:g}", dash="longdash", width=2)],
    )
    return moving(figure, until - 1, "measurement")


def edge_figure(at: Mapping[str, Floats], shares: Mapping[str, Floats], until: int) -> go.Figure:
    """Largest eigenvalue over each optimizer's own edge of stability, point by point.

    Args:
        at: steps of the measurements, by optimizer.
        shares: h₁ over the edge.
        until: measurements to show.
    """
    traces = [
        line(
            at[n][:until],
            v[:until],
            "gradient descent" if n == "sgd" else OPTIMIZER_STYLES[n].title,
            n,
        )
        for n, v in shares.items()
    ]
    ends = ", ".join(f"{OPTIMIZER_STYLES[n].title} {v[until - 1]:.2f}" for n, v in shares.items())
    figure = panel(
        traces,
        title="Largest eigenvalue over the optimizer's own edge",
        alt=f"Largest eigenvalue as a multiple of each optimizer's edge; at last: {ends}.",
        x_axis={"title": "step (all images at once)", "range": [0, float(at["sgd"][-1])]},
        y_axis={
            "title": "h₁ / edge",
            "range": [0, 1.08 * max(float(v.max()) for v in shares.values())],
        },
        shapes=[_level(1, "edge", dash="longdash", width=2)],
    )
    return moving(figure, until - 1, "measurement")


def kappa_figure(at: Floats, kappa: Floats, expected: Floats, until: int) -> go.Figure:
    """What SAMAR's own perturbed pass says of the curvature, beside the Hessian's answer."""
    traces = [
        line(at[:until], kappa[:until], "measured: sharpness / ρ‖g‖", "samar"),
        line(at[:until], expected[:until], "from the Hessian: 1 + ½ρ ĝᵀHĝ/‖g‖"),
    ]
    figure = panel(
        traces,
        title="κ along SAMAR's path",
        alt=f"Measured kappa {kappa[until - 1]:.2f}, from the Hessian {expected[until - 1]:.2f}.",
        x_axis={"title": "step (all images at once)", "range": [0, float(at[-1])]},
        y_axis={"title": "κ", "range": [0.8, 1.05 * float(kappa.max())]},
        shapes=[_level(1, "slope alone", dash="longdash", width=1.5)],
    )
    return moving(figure, until - 1, "measurement")


def eigenvalues_figure(measured: Mapping[str, tuple[str, Mapping[str, Any]]]) -> go.Figure:
    """Largest eigenvalue of real runs between their epochs, and 2/η as the learning rate falls.

    Args:
        measured: title to optimizer and columns ``step, lr, values, residuals``.
    """
    traces = []
    for title, (optimizer, columns) in measured.items():
        style = OPTIMIZER_STYLES[optimizer]
        traces.append(
            line(columns["step"], columns["values"][:, 0], title, optimizer)
            | {"mode": "lines+markers", "marker": {"symbol": style.symbol, "size": 6}}
        )
    columns = next(iter(measured.values()))[1]
    rate = np.maximum(np.asarray(columns["lr"], dtype=float), 1e-12)
    top = max(float(c["values"][:, 0].max()) for _, c in measured.values())
    traces.append(line(columns["step"], np.where(2 / rate > 4 * top, np.nan, 2 / rate), "2/η"))
    ends = ", ".join(f"{t} {c['values'][-1, 0]:.3g}" for t, (_, c) in measured.items())
    return panel(
        traces,
        title="The real runs: mini-batches, momentum, falling η",
        alt=f"Largest Hessian eigenvalue between epochs; at last: {ends}.",
        x_axis={"title": "step"},
        y_axis={"title": "largest eigenvalue h₁", "type": "log", "nticks": 5},
    )


def rate_figure(horizon: Floats, squares: Mapping[str, Any], what: str) -> go.Figure:
    """Squared gradient over the number of steps K, both logarithmic, with a line of slope −1/2.

    Args:
        horizon: (n,).
        squares: optimizer to (n, seeds).
        what: ``mean`` or ``smallest``.
    """
    traces = []
    for name, values in squares.items():
        style = OPTIMIZER_STYLES[name]
        mean = values.mean(axis=1)
        spread = values.std(axis=1, ddof=1).astype(np.float32)
        traces.append(
            line(
                horizon,
                mean,
                f"{style.title}, slope {slope(horizon, mean):.2f}".replace("-", "−"),
                name,
            )
            | {"mode": "lines+markers", "marker": {"symbol": style.symbol, "size": 9}}
            | {"error_y": {"type": "data", "array": spread, "thickness": 1, "width": 3}}
        )
    start = max(float(values[0].mean()) for values in squares.values()) * 1.4
    traces.append(line(horizon, start * np.sqrt(horizon[0] / horizon), "slope −0.5: 1/√K"))
    slopes = ", ".join(
        f"{OPTIMIZER_STYLES[n].title} {slope(horizon, v.mean(axis=1)):.2f}"
        for n, v in squares.items()
    )
    return panel(
        traces,
        title=f"{what.capitalize()} squared gradient over the number of steps",
        alt=f"Both axes logarithmic; measured slopes: {slopes}; 1/√K has slope −0.5.",
        x_axis={"title": "steps K", "type": "log", "tickvals": horizon.tolist()},
        y_axis={"title": "‖∇f‖²", "type": "log", "nticks": 4},
    )


def slope(horizon: Floats, values: Floats) -> float:
    """Least-squares slope of log values over log horizon."""
    return float(np.polyfit(np.log(horizon), np.log(values), 1)[0])


def _upright(x: float, text: str) -> dict[str, Any]:
    label = {"text": text, "textposition": "end", "xanchor": "left", "yanchor": "top"}
    place = {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1}
    return place | {"line": {"dash": "dot", "width": 1.5}, "label": label | {"textangle": 0}}


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
    figure = panel(
        traces,
        title="Accuracy after the last epoch, five seeds",
        alt=f"Mean test accuracy of each method over five seeds: {means}.",
        x_axis={"title": "", "tickvals": list(range(len(groups))), "ticktext": titles},
        y_axis={"title": "correct (%)"},
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
    figure = panel(
        traces,
        title=title,
        alt=f"{what} over epochs; after epoch {until}: {ends}.",
        x_axis={"title": "epoch", "range": [0, epochs + 1]},
        y_axis={"title": y_title, "range": [-3, 103]},
    )
    return moving(figure, until, "epoch")


def digits_figure(images: Any, right: Any, given: Any, answers: Mapping[str, Any]) -> go.Figure:
    """Wrongly labelled training images, with the label given and what each network answers.

    Args:
        images: uint8 (n, 8, 8).
        right, given: (n,) digits.
        answers: title of a network to its answers (n,).
    """
    count, size = len(images), images.shape[1]
    columns = 6
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
    figure = panel(
        [heat | {"hoverinfo": "skip"}],
        title="Wrongly labelled training images",
        alt=f"Digits that were trained on with a wrong label; {scores}.",
        x_axis=bare,
        y_axis=bare | {"range": [rows * cell_h, -1], "scaleanchor": "x", "constrain": "domain"},
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
    return panel(
        traces,
        title="SAM on digits with 40 % wrong labels",
        alt=f"Mean test accuracy over the radius: {pairs}.",
        x_axis={"title": "radius ρ", "type": "log", "tickvals": rho.tolist()},
        y_axis={"title": "correct (%)", "range": [0, 103]},
        shapes=[_level(10, "guessing: 10 %", dash="dot", width=1)],
    )


def _level(y: float, text: str, **style: Any) -> dict[str, Any]:
    label = {"text": text, "textposition": "start", "yanchor": "bottom"}
    place = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y}
    return place | {"line": style, "label": label}
