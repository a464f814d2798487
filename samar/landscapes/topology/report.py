"""A merge tree in words, as JSON and as a table."""

import csv
from dataclasses import asdict
from io import StringIO
from typing import Any

import numpy as np

from samar.landscapes.result import Landscape
from samar.landscapes.topology.merge_tree import (
    GRID_NEIGHBOURS,
    MergeTree,
    Minimum,
    topology_of,
)

THRESHOLD = 0.01
"""Basins less deep than this share of the range of the loss are not counted, unless asked for."""
COORDINATES = ("alpha", "beta")
CAVEAT = (
    "Minima of a slice are not those of the network's loss: another direction may lead down from "
    "them, and what is narrower than the distance of two points is not seen. Compare only what was "
    "measured alike: with the same directions, range and points."
)


def reading(
    tree: MergeTree,
    coarser: MergeTree | None = None,
    whole: MergeTree | None = None,
) -> list[str]:
    """What a merge tree says, in sentences; :data:`CAVEAT` is what it does not.

    Args:
        tree: simplified with the threshold that is to be told.
        coarser: of every second point along each axis, simplified alike.
        whole: before it was simplified.
    """
    if tree.range == 0:
        return ["The loss is the same at every finite point, so there is nothing to tell apart."]
    deep = (
        f"{_percent(tree.threshold)} of the range of the loss ({tree.threshold * tree.range:.3g})"
    )
    words = []
    count, saddles = len(tree.minima), len(tree.saddles)
    border = sum(each.border for each in tree.minima)
    if count == tree.components == 1:
        climb = f"less than {deep}" if tree.threshold else "nowhere"
        words.append(
            "One basin: from every point a path leads to the minimum at "
            f"{_place(tree.minima[0])} that climbs {climb}."
        )
    else:
        than = f" deeper than {deep}" if tree.threshold else ""
        where = f"{saddles} saddle{'s' if saddles > 1 else ''}" if saddles else "no saddle"
        words.append(f"{count} minima{than}, which merge at {where}.")
    if whole is not None and (left := len(whole.minima) - count):
        deepest = whole.minima[count].persistence  # they stand in the order of their persistence
        shallow = "1 shallower one is" if left == 1 else f"{left} shallower ones are"
        words.append(f"{shallow} not counted, with a persistence of at most {deepest:.3g}.")
    if border:
        known = "It lies" if count == 1 else f"{border} of them {'lie' if border > 1 else 'lies'}"
        known = "All of them lie" if border == count > 1 else known
        if tree.left_out:
            words.append(f"{known} at the border, or beside points that are not finite.")
        else:
            words.append(
                f"{known} at the border, where the loss may go on falling: "
                "a larger range tells whether there is a minimum."
            )
    if len(tree.pairs):
        second = next(each for each in tree.minima if each.saddle is not None)
        words.append(
            f"Out of the deepest basin but the lowest, at {_place(second)}, the loss has to climb "
            f"{second.persistence:.3g}. On average it climbs {tree.smad:.3g} from a minimum to "
            f"the first saddle above it, {_percent(tree.smad / tree.range)} of the range "
            "(SMAD); 0 is a single basin."
        )
    if tree.components > 1:
        words.append(
            f"The finite points fall into {tree.components} parts with no way between them."
        )
    if tree.left_out:
        words.append(f"{tree.left_out} points are not finite, or not measured, and are left out.")
    if coarser is not None:
        other = len(coarser.minima)
        same = "as many" if other == count else f"{other}, so that the points decide"
        words.append(f"On every second point alone there are {same}.")
    return words


def coarsened(landscape: Landscape) -> Landscape | None:
    """The same with every second point along each axis; None if that leaves fewer than five."""
    if landscape.points < 9 or landscape.points % 2 == 0:
        return None
    cut = (slice(None, None, 2),) * landscape.loss.ndim
    axes = tuple(axis[::2].copy() for axis in landscape.axes)
    arrays = (landscape.loss, landscape.accuracy, landscape.done)
    loss, accuracy, done = (each[cut].copy() for each in arrays)
    return Landscape(axes, loss, accuracy, done, landscape.manifest)


Trees = tuple[MergeTree, MergeTree | None]
"""The trees of a landscape and of every second of its points, if enough; neither is simplified."""


def told(
    landscape: Landscape, *, threshold: float = THRESHOLD, neighbours: int = GRID_NEIGHBOURS[0]
) -> tuple[MergeTree, list[str]]:
    """The simplified merge tree of a landscape, and its reading.

    Args:
        neighbours: of a cell, 8 or 4.

    Raises:
        ConfigError: the threshold, or the number of neighbours, does not fit.
        DataError: no cell is finite.
    """
    return told_of(landscape, trees_of(landscape, neighbours=neighbours), threshold=threshold)


def trees_of(landscape: Landscape, *, neighbours: int = GRID_NEIGHBOURS[0]) -> Trees:
    """The slow part of :func:`told`, which does not depend on the threshold.

    Raises:
        ConfigError: the number of neighbours does not fit.
        DataError: no cell is finite.
    """
    whole = topology_of(landscape, neighbours=neighbours)
    half = coarsened(landscape)
    if half is None or not np.isfinite(half.loss).any():
        return whole, None
    return whole, topology_of(half, neighbours=neighbours)


def told_of(
    landscape: Landscape, trees: Trees, *, threshold: float = THRESHOLD
) -> tuple[MergeTree, list[str]]:
    """:func:`told`, where the trees are known.

    Raises:
        ConfigError: the threshold does not fit.
    """
    whole, half = trees
    tree, coarser = whole.simplified(threshold), half and half.simplified(threshold)
    words = reading(tree, coarser, whole)
    guessed = int((np.isfinite(landscape.loss) & ~landscape.done).sum())
    if guessed:
        words.append(
            f"The loss at {guessed:,} of {landscape.loss.size:,} points is interpolated, not "
            "measured: a basin narrower than the distance of measured points is not seen."
        )
    return tree, words


def as_json(tree: MergeTree, **facts: Any) -> dict[str, Any]:
    """Everything as plain values; a persistence that never ends is None.

    Args:
        facts: further entries, such as ``title``.
    """
    minima = [asdict(each) for each in tree.minima]
    for each in minima:
        each["persistence"] = each["persistence"] if np.isfinite(each["persistence"]) else None
    return {
        **facts,
        **tree.numbers(),
        "minima_found": minima,
        "saddles_found": [asdict(each) for each in tree.saddles],
        "parents": list(tree.parents),
    }


def tree_csv(tree: MergeTree) -> str:
    """One row per node: the minima, then the saddles, numbered as in ``parents``.

    Numbers are written so that reading them gives back the same float64.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    places = COORDINATES[: len(tree.minima[0].position)]
    writer.writerow(["node", "kind", *places, "loss", "persistence", "parent", "border", "index"])
    for number, node in enumerate((*tree.minima, *tree.saddles)):
        lowest = isinstance(node, Minimum)
        depth = repr(node.persistence) if isinstance(node, Minimum) else ""
        kind = "minimum" if lowest else "saddle"
        above = "" if tree.parents[number] is None else tree.parents[number]
        row = [number, kind, *map(repr, node.position), repr(node.loss), depth, above]
        writer.writerow([*row, int(node.border), node.index])
    return text.getvalue()


def _percent(share: float) -> str:
    return f"{100 * share:.3g}\u00a0%"


def _place(minimum: Minimum) -> str:
    return "(" + ", ".join(f"{each:.3g}" for each in minimum.position) + ")"
