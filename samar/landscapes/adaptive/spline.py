"""A surface through scattered points: a thin plate spline, and how far it may be off.

At each place the spline goes through the measured points nearest to it: φ(r) = r² log r and a
plane, which bends least of all surfaces through them (Duchon 1977).

Reference:
    Duchon, "Splines minimizing rotation-invariant semi-norms in Sobolev spaces", 1977.
"""

import numpy as np
import numpy.typing as npt

from samar.landscapes.grid import Floats

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

NEIGHBOURS = 24
"""Measured points through which the spline of a place goes."""
AROUND = 6
"""Measured points by which the error at a place is expected."""
UNKNOWN = 1e6
"""Density of an error of which nothing can be said yet."""
AT_ONCE = 512
"""Places whose equations are in memory at a time."""
RIDGE = 1e-10
"""Keeps the equations of points on one line solvable."""


def spline_weights(known: Floats, places: Floats) -> Floats:
    """Weights with which values add up to the thin plate spline through them.

    Args:
        known: (m, k, 2), for each place the points that the spline goes through, k ≥ 1.
        places: (m, 2).

    Returns:
        (m, k); a row adds up to 1.
    """
    parts = range(0, len(places), AT_ONCE)
    found = [_weights(known[i : i + AT_ONCE], places[i : i + AT_ONCE]) for i in parts]
    return np.concatenate(found) if found else np.empty(known.shape[:2])


def _weights(known: Floats, places: Floats) -> Floats:
    m, k, _ = known.shape
    offsets = known - places[:, None]
    reach = np.sqrt((offsets**2).sum(-1)).max(1)
    offsets = offsets / np.where(reach > 0, reach, 1)[:, None, None]
    pairs = offsets[:, :, None] - offsets[:, None]
    matrix = np.zeros((m, k + 3, k + 3))
    matrix[:, :k, :k] = _bending((pairs**2).sum(-1))
    matrix[:, :k, k] = matrix[:, k, :k] = 1
    matrix[:, :k, k + 1 :] = offsets
    matrix[:, k + 1 :, :k] = offsets.transpose(0, 2, 1)
    matrix[:, [k + 1, k + 2], [k + 1, k + 2]] = -RIDGE
    right = np.zeros((m, k + 3, 1))
    right[:, :k, 0] = _bending((offsets**2).sum(-1))
    right[:, k] = 1
    solved: Floats = np.linalg.solve(matrix, right)[:, :k, 0]
    return solved


def _bending(squares: Floats) -> Floats:
    """r² log r of r²."""
    return squares * np.log(np.where(squares > 0, squares, 1)) / 2


def _nearest(points: Places, places: Places, count: int) -> tuple[Floats, Places]:
    """Distances and numbers of the nearest points of each place, (m, count), nearest first.

    Of equally near ones the first come first, so that they are the same on every machine.
    """
    distances = np.empty((len(places), count))
    numbers = np.empty((len(places), count), dtype=np.int64)
    for i in range(0, len(places) if count else 0, AT_ONCE):
        part = slice(i, i + AT_ONCE)
        squares = ((places[part, None] - points) ** 2).sum(axis=-1)
        ranks = squares * len(points) + np.arange(len(points))
        ranks = np.sort(np.partition(ranks, count - 1, axis=1)[:, :count], axis=1)
        distances[part], numbers[part] = np.sqrt(ranks // len(points)), ranks % len(points)
    return distances, numbers


class Surface:
    """A plane of which some points are measured.

    Args:
        known: (n, n) which.
        values: (n, n) of what is interpolated, read where they are known.
    """

    def __init__(self, known: Mask, values: Floats) -> None:
        self.known, self._values = known, values
        self.places: Places = np.argwhere(~known)
        """(m, 2) those that are not measured."""
        measured = np.argwhere(known)
        finite = np.isfinite(values[known])
        self._points: Places = measured[finite]
        distance, nearest = _nearest(measured, self.places, min(4, len(measured)))
        self.distance: Floats = distance[:, 0]
        """(m,) to the nearest measured point, in steps of the finest grid."""
        self.inside: Mask = finite[nearest[:, 0]]
        """(m,) whether that is finite."""
        count = finite[nearest].sum(axis=1)
        self.at_border: Mask = (count > 0) & (count < nearest.shape[1])
        """(m,) whether of the nearest some are finite and some are not."""
        _, self._near = _nearest(self._points, self.places, min(NEIGHBOURS, len(self._points)))

    def filled(self, *planes: Floats) -> list[Floats]:
        """Planes with what is not measured interpolated, (n, n) each."""
        places = self.places[self.inside]
        near = self._near[self.inside]
        found = [np.where(self.known, plane, np.nan) for plane in planes]
        if len(places):
            weights = spline_weights(self._points[near].astype(float), places.astype(float))
            for plane in found:
                values = plane[tuple(self._points.T)][near]
                plane[tuple(places.T)] = (weights * values).sum(axis=1)
        return found

    def density(self) -> Floats:
        """Expected error at every place that is not measured, divided by its distance squared."""
        found = np.zeros(len(self.places))
        if len(self._points) <= AROUND:
            found[self.inside] = UNKNOWN
            return found
        points = self._points.astype(float)
        count = min(NEIGHBOURS, len(points) - 1)
        distance, near = (each[:, 1:] for each in _nearest(self._points, self._points, count + 1))
        values = self._values[tuple(self._points.T)]
        guess = (spline_weights(points[near], points) * values[near]).sum(axis=1)
        squares = ((values - guess) / distance[:, 0] ** 2) ** 2
        places, near = self.places[self.inside].astype(float), self._near[self.inside]
        of_surpluses = np.sqrt(squares[near[:, :AROUND]].mean(axis=1))
        two = [
            (spline_weights(points[n], places) * values[n]).sum(axis=1)
            for n in (near, near[:, :AROUND])
        ]
        of_splines = np.abs(two[0] - two[1]) / self.distance[self.inside] ** 2
        found[self.inside] = np.maximum(of_surpluses, of_splines)
        return found
