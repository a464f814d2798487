"""Minima and saddles over a landscape, its persistence diagram, and its merge tree."""

import html
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.scale import Scale
from samar.charts.theme import NEUTRAL, panel
from samar.landscapes.topology.merge_tree import MergeTree, Minimum, Saddle

MINIMUM, SADDLE = "#0072B2", "#CC79A7"
WHITE, DARK = "#FFFFFF", "#101418"
TITLE_LENGTH = 20
BORDER = "minima at the border"
MOST_MARKS = 60
"""The deepest so many minima are marked; more would hide the map."""


def marks(
    tree: MergeTree,
    *,
    at: Callable[[Saddle], tuple[float, ...]] = lambda node: node.position,
    solid: bool = False,
    on_paper: bool = False,
) -> list[dict[str, Any]]:
    """Minima, those at the border hollow, and saddles, to stand over a figure.

    Args:
        at: where a node stands, its coordinates on a plane if not told otherwise.
        solid: for a surface, where a cross is a letter that not every machine has.
        on_paper: for a figure whose ground is the page's, not a map's.

    Returns:
        traces without a type, each with the loss (``value``) at its points.
    """
    minima = tree.minima[:MOST_MARKS]
    inner = [each for each in minima if not each.border]
    border = [each for each in minima if each.border]
    saddles = tree.saddles if len(minima) == len(tree.minima) else tree.saddles[-MOST_MARKS:]
    size = 8 - 3 * solid
    groups: tuple[tuple[str, Sequence[Saddle], str, str, int], ...] = (
        ("minima", inner, MINIMUM, "circle", 10 + 2 * on_paper),
        (BORDER, border, MINIMUM, "circle-open", 10 + 2 * on_paper),
        (_saddles(tree), saddles, SADDLE, "square" if solid else "x", size + 2 * on_paper),
    )

    def marker(name: str, color: str, symbol: str, size: int) -> dict[str, Any]:
        shape = {"symbol": symbol, "size": size}
        if on_paper:
            rim = {"width": 2.5, "color": color} if name == BORDER else {"width": 1, "color": WHITE}
            return {**shape, "color": color, "line": rim}
        rim = {"width": 1.5, "color": WHITE if name == BORDER else DARK}
        return {**shape, "color": WHITE, "line": rim}

    return [
        {
            "x": [at(each)[0] for each in found],
            "y": [at(each)[1] for each in found],
            "value": np.array([each.loss for each in found]),
            "mode": "markers",
            "name": name,
            "marker": marker(name, color, symbol, size),
            "text": [_told(each) for each in found],
            "hovertemplate": "%{text}<extra></extra>",
        }
        for name, found, color, symbol, size in groups
        if found
    ]


def _saddles(tree: MergeTree) -> str:
    """What merges two basins: on a line, a maximum."""
    return "maxima" if len(tree.minima[0].position) == 1 else "saddles"


def flat_marks(tree: MergeTree, at: Callable[[Saddle], tuple[float, ...]]) -> list[dict[str, Any]]:
    """The same marks as traces of a flat figure whose ground is the page's.

    Args:
        at: where a node stands.
    """
    found = marks(tree, at=at, on_paper=True)
    for each in found:
        each.pop("value")
        each["type"] = "scatter"
    return found


def floor_marks(tree: MergeTree, height: float) -> list[dict[str, Any]]:
    """The same marks beneath a surface, which hides those in its pits, among its contours.

    Args:
        height: of the floor.
    """
    return [
        {
            **{name: each[name] for name in ("x", "y", "mode", "text", "hovertemplate")},
            "type": "scatter3d",
            "z": [height] * len(each["x"]),
            "name": f"{each['name']}, from above",
            "marker": {
                "symbol": each["marker"]["symbol"],
                "color": SADDLE if each["name"] == "saddles" else MINIMUM,
                "size": 5,
            },
        }
        for each in marks(tree, solid=True)
    ]


def _told(node: Saddle) -> str:
    place = ", ".join(f"{each:.3g}" for each in node.position)
    if not isinstance(node, Minimum):
        kind = "maximum" if len(node.position) == 1 else "saddle"
        return f"{kind} at {place}<br>loss {node.loss:.4g}"
    kind = "lowest place at the border" if node.border else "minimum"
    depth = "the lowest" if node.saddle is None else f"persistence {node.persistence:.4g}"
    return f"{kind} at {place}<br>loss {node.loss:.4g}<br>{depth}"


def bounds_of(trees: Sequence[MergeTree], *, log: bool) -> tuple[float, float]:
    """Lowest and highest loss of all, with room at the ends: the axis that figures share."""
    low = min(each.lowest for each in trees)
    high = max(each.highest for each in trees)
    if log and low > 0:
        room = (high / low) ** 0.08 if high > low else 2.0
        return low / room, high * room
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def persistence_figure(
    tree: MergeTree, scale: Scale, title: str, bounds: tuple[float, float]
) -> go.Figure:
    """The persistence diagram: loss at each minimum, and at the saddle where its basin ends.

    The lowest basin never ends; it stands at the highest loss of the samples.

    Args:
        scale: linear or logarithmic loss.
        title: tells figures side by side apart; may be empty.
        bounds: from :func:`bounds_of`.
    """
    log = scale.logarithmic and bounds[0] > 0
    ends = [
        tree.highest if each.saddle is None else tree.saddles[each.saddle].loss
        for each in tree.minima
    ]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": list(bounds),
            "y": list(bounds),
            "mode": "lines",
            "name": "no persistence",
            "line": {"color": NEUTRAL, "dash": "dot", "width": 1},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    kinds = (
        ("basins", "circle", lambda each: each.saddle is not None and not each.border),
        ("at the border", "circle-open", lambda each: each.saddle is not None and each.border),
        ("lowest, never ends", "triangle-up", lambda each: each.saddle is None),
    )
    for name, symbol, chosen in kinds:
        own = [(each, end) for each, end in zip(tree.minima, ends, strict=True) if chosen(each)]
        if own:
            traces.append(
                {
                    "type": "scatter",
                    "x": [each.loss for each, _ in own],
                    "y": [end for _, end in own],
                    "mode": "markers",
                    "name": name,
                    "marker": {"color": MINIMUM, "symbol": symbol, "size": 10},
                    "text": [_told(each) for each, _ in own],
                    "hovertemplate": "%{text}<extra></extra>",
                }
            )
    axis = _axis(bounds, log)
    figure = panel(
        traces,
        title=_heading("Persistence diagram", title),
        alt=f"{_heading('Persistence diagram', title)}: {len(tree.pairs)} basins that end.",
        x_axis={"title": f"loss at the minimum{' (log scale)' if log else ''}"} | axis,
        y_axis={"title": "loss at the saddle"} | axis,
        empty="",
    )
    return figure.update_layout(hovermode="closest", margin_b=48)


def merge_tree_figure(
    tree: MergeTree, scale: Scale, title: str, bounds: tuple[float, float]
) -> go.Figure:
    """The merge tree: minima below, saddles where their branches meet, the loss as height."""
    log = scale.logarithmic and bounds[0] > 0
    nodes = (*tree.minima, *tree.saddles)
    across = _across(tree)
    count = len(tree.minima)
    x: list[float | None] = []
    y: list[float | None] = []
    for number, above in enumerate(tree.parents):
        top = tree.highest if above is None else nodes[above].loss
        end = across[number] if above is None else across[above]
        x += [across[number], across[number], end, None]
        y += [nodes[number].loss, top, top, None]
    line = {"color": NEUTRAL, "width": 2}
    traces: list[dict[str, Any]] = [
        {"type": "scatter", "x": x, "y": y, "mode": "lines", "line": line, "hoverinfo": "skip"}
        | {"name": "branches", "showlegend": False}
    ]
    border = [each.border for each in tree.minima]
    looks = (
        ("minima", [n for n in range(count) if not border[n]], MINIMUM, "circle"),
        ("at the border", [n for n in range(count) if border[n]], MINIMUM, "circle-open"),
        (_saddles(tree), list(range(count, len(nodes))), SADDLE, "x"),
    )
    for name, own, color, symbol in looks:
        if own:
            traces.append(
                {
                    "type": "scatter",
                    "x": [across[n] for n in own],
                    "y": [nodes[n].loss for n in own],
                    "mode": "markers",
                    "name": name,
                    "marker": {"color": color, "symbol": symbol, "size": 9},
                    "text": [_told(nodes[n]) for n in own],
                    "hovertemplate": "%{text}<extra></extra>",
                }
            )
    wide = {"range": [-0.6, count - 0.4], "showticklabels": False, "showgrid": False}
    figure = panel(
        traces,
        title=_heading("Merge tree", title),
        alt=f"{_heading('Merge tree', title)}: {count} minima, {len(tree.saddles)} saddles.",
        x_axis={"title": "basins, the lowest first", "zeroline": False} | wide,
        y_axis={"title": f"loss{' (log scale)' if log else ''}"} | _axis(bounds, log),
        empty="",
    )
    return figure.update_layout(hovermode="closest", margin_b=32)


def _heading(kind: str, title: str) -> str:
    short = title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1].rstrip(" ·,") + "…"
    return f"{kind} · {html.escape(short)}" if title else kind


def _axis(bounds: tuple[float, float], log: bool) -> dict[str, Any]:
    if log:
        return {"type": "log", "range": np.log10(bounds).tolist(), "zeroline": False}
    return {"range": list(bounds), "zeroline": False}


def _across(tree: MergeTree) -> list[float]:
    """Where each node stands: leaves side by side, no branches crossing, the lowest at the left."""
    count = len(tree.minima)
    nodes = (*tree.minima, *tree.saddles)
    below: list[list[int]] = [[] for _ in nodes]
    for number, above in enumerate(tree.parents):
        if above is not None:
            below[above].append(number)
    lowest = [each.loss for each in nodes]
    for number in range(count, len(nodes)):  # saddles rise, so those below come before
        lowest[number] = min(lowest[each] for each in below[number])
    roots = [number for number, above in enumerate(tree.parents) if above is None]
    across, leaves = [0.0] * len(nodes), 0
    waiting = sorted(roots, key=lambda each: -lowest[each])
    while waiting:
        number = waiting.pop()
        if number < count:
            across[number] = float(leaves)
            leaves += 1
        waiting += sorted(below[number], key=lambda each: -lowest[each])
    for number in range(count, len(nodes)):
        places = [across[each] for each in below[number]]
        across[number] = (min(places) + max(places)) / 2
    return across
