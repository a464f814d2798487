r"""The merge tree of a sampled loss and its persistence, from one union-find.

Raise a level c from below and look at the sublevel set {θ : L(θ) ≤ c}. At every minimum a new piece
of it, a basin, is born; at a saddle two basins become one. By the elder rule the one with the lower
minimum lives on, and the other ends: its persistence is the loss at that saddle minus the loss at
its minimum, the least climb out of it into a deeper basin. The lowest basin never ends.

    pair of a minimum m: (L(m), L(s)),   persistence L(s) − L(m)

The tree's leaves are the minima, its inner nodes the saddles, and its root is the last saddle.
(Edelsbrunner, Letscher, Zomorodian 2002, "Topological persistence and simplification"; Carr,
Snoeyink, Axen 2003, "Computing contour trees in all dimensions".)

The samples stand for the function, and an edge between two neighbours for the way between them,
with the larger loss of the two. Minima narrower than the samples' distance are not seen, and a
narrow valley that runs across the grid can break up into several.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from samar.errors import ConfigError, DataError
from samar.landscapes.grid import Floats
from samar.landscapes.result import Landscape

Edges = npt.NDArray[np.intp]
"""(e, 2) numbers of points that are neighbours, each pair once."""
GRID_NEIGHBOURS = (8, 4)
"""Neighbours of a cell of a plane: with those at its corners, or along rows and columns only."""


@dataclass(frozen=True)
class Saddle:
    """Where two or more basins merge.

    Attributes:
        index: number of the sampled point, in reading order of a plane.
        position: coordinates along the directions, (x, y) on a plane.
        loss: there.
        border: whether it lies at the edge of what was sampled: the true saddle may be outside.
    """

    index: int
    position: tuple[float, ...]
    loss: float
    border: bool


@dataclass(frozen=True)
class Minimum(Saddle):
    """A point that no lower neighbour surrounds.

    Attributes:
        border: whether it lies at the edge of what was sampled, so that it is not known to be a
            minimum: the loss may go on falling outside.
        persistence: the climb out of it into a deeper basin; infinite for the lowest.
        saddle: number, among the tree's saddles, of that at which it ends; None for the lowest.
        elder: number, among the tree's minima, of the one that lives on; None for the lowest.
    """

    persistence: float = float("inf")
    saddle: int | None = None
    elder: int | None = None


@dataclass(frozen=True)
class MergeTree:
    """Minima, the saddles that join their basins, and which node stands below which.

    Attributes:
        minima: by descending persistence; equal ones in the order of their loss and index.
        saddles: by ascending loss.
        parents: for each minimum, then each saddle, the number of the saddle above it; None at the
            root. There are as many roots as components.
        lowest, highest: of the finite losses.
        points: how many samples are finite.
        left_out: how many are not; they belong to no sublevel set.
        components: pieces into which the finite samples fall: 1 unless cells that are not finite
            part them.
        neighbours: of a cell.
        threshold: smallest persistence that was kept, as a share of highest − lowest.
    """

    minima: tuple[Minimum, ...]
    saddles: tuple[Saddle, ...]
    parents: tuple[int | None, ...]
    lowest: float
    highest: float
    points: int
    left_out: int
    components: int
    neighbours: int = 0
    threshold: float = 0.0

    @property
    def range(self) -> float:
        """Highest minus lowest loss of the samples."""
        return self.highest - self.lowest

    @property
    def pairs(self) -> Floats:
        """The finite pairs of the persistence diagram, (k, 2): loss at minimum and at saddle."""
        rows = [
            (each.loss, self.saddles[each.saddle].loss)
            for each in self.minima
            if each.saddle is not None
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    @property
    def total_persistence(self) -> float:
        """The sum of all finite persistences, in units of the loss.

        0 for a single basin. Cohen-Steiner, Edelsbrunner, Harer, Mileyko 2010, "Lipschitz functions
        have L_p-stable persistence".
        """
        return float(np.sum(self.pairs[:, 1] - self.pairs[:, 0]))

    @property
    def smad(self) -> float:
        """The saddle-minimum average distance, in units of the loss; 0 for a single basin.

        The mean, over all minima, of the climb to the first saddle above them, which is the length
        of the tree's leaf edges: Chen et al. 2026, "Landscaper" (arXiv 2602.07135), of the tree of
        sublevel sets. The lowest minimum counts too.
        """
        count = len(self.minima)
        lengths = [
            self.saddles[above - count].loss - each.loss
            for each, above in zip(self.minima, self.parents, strict=False)
            if above is not None
        ]
        return float(np.mean(lengths)) if lengths else 0.0

    def simplified(self, threshold: float) -> "MergeTree":
        """Without the basins less deep than a share of the range of the loss.

        Args:
            threshold: between 0 and 1, such as 0.01; 0 leaves all that have any depth.

        Raises:
            ConfigError: it is not.
        """
        if not 0 <= threshold < 1:
            raise ConfigError(
                f"threshold is {threshold}, but must be a share of the range of the loss, from 0 "
                "to below 1; try 0.01."
            )
        least = threshold * self.range
        merges = [
            (each.saddle, number, each.elder)
            for number, each in enumerate(self.minima)
            if each.saddle is not None and each.elder is not None and each.persistence >= least
        ]
        merges.sort(key=lambda merge: merge[0])
        kept = sorted({number for _, number, _ in merges} | set(self._lowest_minima))
        saddles = sorted({saddle for saddle, _, _ in merges})
        new, above = ({old: i for i, old in enumerate(each)} for each in (kept, saddles))
        minima = tuple(
            replace(
                each,
                saddle=None if each.saddle is None else above[each.saddle],
                elder=None if each.elder is None else new[each.elder],
            )
            for each in (self.minima[number] for number in kept)
        )
        left = tuple(self.saddles[number] for number in saddles)
        renamed = [(above[saddle], new[number], new[elder]) for saddle, number, elder in merges]
        parents = _parents(len(minima), len(left), renamed)
        return replace(
            self,
            minima=minima,
            saddles=left,
            parents=parents,
            threshold=max(threshold, self.threshold),
        )

    @property
    def _lowest_minima(self) -> tuple[int, ...]:
        return tuple(n for n, each in enumerate(self.minima) if each.saddle is None)

    def numbers(self) -> dict[str, Any]:
        """What compares landscapes, as plain values.

        ``minima`` counts all, ``border_minima`` those among them at the edge of the samples.
        ``relative_persistence`` and ``relative_smad`` are shares of the range of the loss.
        """
        width = self.range or 1.0
        return {
            "minima": len(self.minima),
            "border_minima": sum(each.border for each in self.minima),
            "saddles": len(self.saddles),
            "total_persistence": self.total_persistence,
            "relative_persistence": self.total_persistence / width,
            "smad": self.smad,
            "relative_smad": self.smad / width,
            "threshold": self.threshold,
            "neighbours": self.neighbours,
            "range": self.range,
            "points": self.points,
            "left_out": self.left_out,
            "components": self.components,
        }


def topology_of(landscape: Landscape, *, neighbours: int = 8) -> MergeTree:
    """The merge tree of the loss on a line or a plane.

    Args:
        landscape: its cells that are not finite, or not measured, belong to no sublevel set.
        neighbours: of a cell of a plane: 8, or 4. With 4 every narrow diagonal valley falls apart.

    Raises:
        ConfigError: another number of neighbours.
        DataError: no cell is finite.

    Example:
        >>> x = np.linspace(-1.5, 1.5, 65)
        >>> double_well = (x**2 - 1) ** 2 + 0.1 * x
        >>> done = np.ones(65, dtype=bool)
        >>> tree = topology_of(Landscape((x,), double_well, double_well, done))
        >>> [each.border for each in tree.minima], len(tree.saddles)
        ([False, False], 1)
    """
    loss = landscape.loss
    grids = np.meshgrid(*landscape.axes)
    positions = np.stack([each.ravel() for each in grids], axis=1)
    edges = grid_edges(loss.shape, neighbours)
    tree = _tree(loss.ravel(), edges, positions, grid_border(np.isfinite(loss)))
    return replace(tree, neighbours=neighbours)


def grid_edges(shape: Sequence[int], neighbours: int = 8) -> Edges:
    """The pairs of neighbouring cells of a line or a plane, cells numbered in reading order.

    Args:
        shape: (n,) or (rows, columns).
        neighbours: 8 or 4; on a line a cell has two either way.

    Raises:
        ConfigError: another number of neighbours.
    """
    if neighbours not in GRID_NEIGHBOURS:
        raise ConfigError(
            f"neighbours is {neighbours!r}, but a cell of a plane has 8 or 4; choose 8."
        )
    number = np.arange(int(np.prod(shape))).reshape(shape)
    pairs = [(number[:-1], number[1:])]
    if len(shape) == 2:
        pairs.append((number[:, :-1], number[:, 1:]))
        if neighbours == 8:
            pairs.append((number[:-1, :-1], number[1:, 1:]))
            pairs.append((number[:-1, 1:], number[1:, :-1]))
    return np.concatenate([np.stack([a.ravel(), b.ravel()], axis=1) for a, b in pairs])


def grid_border(finite: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which cells, (cells,), of a line or a plane lack a neighbour, or have one not finite."""
    known = np.pad(finite, 1, constant_values=False)
    around = np.ones(finite.shape, dtype=bool)
    for shift in np.ndindex(*(3,) * finite.ndim):
        around &= known[tuple(slice(s, s + n) for s, n in zip(shift, finite.shape, strict=True))]
    return ~around.ravel()


def _tree(
    loss: Floats, edges: Edges, positions: Floats, border: npt.NDArray[np.bool_]
) -> MergeTree:
    """The merge tree of values (n,) over a graph; equal values are taken in their order."""
    finite = np.isfinite(loss)
    if not finite.any():
        raise DataError("No loss is finite here, so there is no minimum; measure a smaller range.")
    border = _with_plateaus(border, edges[loss[edges[:, 0]] == loss[edges[:, 1]]])
    rank = np.empty(len(loss), dtype=np.intp)
    rank[np.lexsort((np.arange(len(loss)), np.where(finite, loss, np.inf)))] = np.arange(len(loss))
    merges, lowest = _merges(rank, edges[finite[edges].all(axis=1)], np.flatnonzero(finite))
    # A plateau, or a slope of equal steps, gives pairs of no persistence: they are no minima.
    ends = {m: (s, e) for s, m, e in merges if loss[s] > loss[m]}
    depth = {m: float(loss[s] - loss[m]) for m, (s, _) in ends.items()}
    depth |= dict.fromkeys(lowest, float("inf"))
    order = sorted(depth, key=lambda m: (-depth[m], int(rank[m])))
    number = {m: i for i, m in enumerate(order)}
    saddles = sorted({s for s, _ in ends.values()}, key=lambda s: int(rank[s]))
    above = {s: i for i, s in enumerate(saddles)}

    def node(point: int) -> tuple[int, tuple[float, ...], float, bool]:
        return point, tuple(positions[point].tolist()), float(loss[point]), bool(border[point])

    def minimum(point: int) -> Minimum:
        if point not in ends:
            return Minimum(*node(point))
        saddle, elder = ends[point]
        return Minimum(*node(point), depth[point], above[saddle], number[elder])

    merged = [(above[s], number[m], number[e]) for m, (s, e) in ends.items()]
    return MergeTree(
        tuple(minimum(each) for each in order),
        tuple(Saddle(*node(each)) for each in saddles),
        _parents(len(order), len(saddles), merged),
        float(loss[finite].min()),
        float(loss[finite].max()),
        int(finite.sum()),
        int((~finite).sum()),
        len(lowest),
    )


def _with_plateaus(border: npt.NDArray[np.bool_], equal: Edges) -> npt.NDArray[np.bool_]:
    """A plateau that reaches the border lies there with all of its points.

    Args:
        equal: edges between points of the same loss.
    """
    found: npt.NDArray[np.bool_] = border.copy()
    while (reached := found[equal]).any(axis=1).sum() > reached.all(axis=1).sum():
        found[equal[reached.any(axis=1)]] = True
    return found


def _merges(
    rank: npt.NDArray[np.intp], edges: Edges, points: npt.NDArray[np.intp]
) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Every (saddle, minimum that ends, minimum that lives on), rising, and those that never end.

    Kruskal's algorithm: an edge appears with the later of its two points.
    """
    order = np.argsort(rank[edges].max(axis=1), kind="stable")
    parent = list(range(len(rank)))
    ranks = rank.tolist()

    def root(point: int) -> int:
        """The minimum of the basin that a point belongs to so far."""
        while parent[point] != point:
            parent[point] = parent[parent[point]]
            point = parent[point]
        return point

    found = []
    for one, two in edges[order].tolist():
        elder, younger = root(one), root(two)
        if elder == younger:
            continue
        if ranks[elder] > ranks[younger]:
            elder, younger = younger, elder
        saddle = one if ranks[one] > ranks[two] else two
        if saddle != younger:  # a point that joins a basin as it appears is no minimum
            found.append((saddle, younger, elder))
        parent[younger] = elder
    return found, sorted({root(point) for point in points.tolist()})


def _parents(
    minima: int, saddles: int, merges: Sequence[tuple[int, int, int]]
) -> tuple[int | None, ...]:
    """The saddle above each minimum and each saddle, from merges in rising order."""
    parents: list[int | None] = [None] * (minima + saddles)
    top = list(range(minima))
    for saddle, ending, elder in merges:
        above = minima + saddle
        for below in (top[ending], top[elder]):
            if below != above:
                parents[below] = above
        top[ending] = top[elder] = above
    return tuple(parents)
