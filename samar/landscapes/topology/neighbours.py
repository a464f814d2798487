"""Which sampled points are neighbours: on a grid, or among points anywhere."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from samar.errors import ConfigError
from samar.landscapes.grid import Floats

Edges = npt.NDArray[np.intp]
"""(e, 2) numbers of points that are neighbours, each pair once."""

GRID_NEIGHBOURS = (8, 4)
"""Neighbours of a cell of a plane: with those at its corners, or along rows and columns only."""
PIECE = 1 << 22
"""Distances at a time."""
TOLERANCE, HULL_TOLERANCE = 1e-12, 1e-7


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


def nearest_edges(points: Floats, neighbours: int) -> Edges:
    """Pairs of points of which one is among the k nearest of the other.

    Args:
        points: (n, d).
        neighbours: k, less than n.
    """
    count = len(points)
    squares = (points**2).sum(axis=1)
    rows = max(1, PIECE // count)
    found = []
    for start in range(0, count, rows):
        piece = points[start : start + rows]
        distance = squares[None] - 2 * piece @ points.T + squares[start : start + rows, None]
        own = np.arange(len(piece))
        distance[own, start + own] = np.inf
        nearest = np.argpartition(distance, neighbours - 1, axis=1)[:, :neighbours]
        found.append(np.stack([np.repeat(start + own, neighbours), nearest.ravel()], axis=1))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def is_enclosed(point: Floats, around: Floats) -> bool:
    """Whether a point lies in the convex hull of others: a mean of them with weights ≥ 0.

    By the active-set algorithm for non-negative least squares (Lawson, Hanson 1974, "Solving Least
    Squares Problems", chapter 23).

    Args:
        point: (d,).
        around: (k, d).
    """
    offsets = around - point
    lengths = np.linalg.norm(offsets, axis=1, keepdims=True)
    # Their lengths do not matter: 0 is in the hull of the one where it is in that of the other.
    columns = np.vstack([(offsets / np.where(lengths > 0, lengths, 1)).T, np.ones(len(around))])
    target = np.append(np.zeros(len(point)), 1.0)
    weights = np.zeros(len(around))
    free = np.zeros(len(around), dtype=bool)
    for _ in range(3 * len(around)):
        gain = columns.T @ (target - columns @ weights)
        best = int(np.argmax(np.where(free, -np.inf, gain)))
        if free.all() or gain[best] <= TOLERANCE:
            break
        free[best] = True
        while free.any():
            wanted = np.zeros(len(around))
            wanted[free] = np.linalg.lstsq(columns[:, free], target, rcond=None)[0]
            falling = free & (wanted <= 0)
            if not falling.any():
                weights = wanted
                break
            share = weights[falling] / (weights[falling] - wanted[falling])
            weights = weights + share.min() * (wanted - weights)
            free &= weights > TOLERANCE
            weights[~free] = 0
    return bool(np.linalg.norm(target - columns @ weights) < HULL_TOLERANCE)
