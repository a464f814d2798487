r"""Which points of a plane to measure: only those that the interpolated surface needs.

The points are those of the finest of the grids of :mod:`samar.landscapes.grid`. After the coarsest
of these, they come in batches; each batch goes where the error of the surface is expected to be
largest, and follows from the losses measured so far alone.

**The surface** between the points is a thin plate spline through the measured points nearest to
each place: φ(r) = r² log r, which bends least of all surfaces through them (Duchon 1977).

**Its error** e(x) is expected from *hierarchical surpluses*: how far the loss measured at a point i
lies from the spline through the others, s_i, at the distance d_i of the nearest of them. At a place
x with the distance d to the nearest measured point it is the larger of

    (d / d_i)² |s_i|, as a root mean square over the i nearest to x,
    |f(x) − g(x)|, the difference of the spline and one through few points.

The estimate of the largest error is the largest e(x), times a factor that covers the true one; the
sampling stops when it is below the tolerance, or when no point of the grid is left.

Losses differ by orders of magnitude between a minimum and the walls around it, and are drawn on a
logarithmic scale. They are interpolated as logarithms, and an error is relative: e means that the
interpolated loss is at most 1 + e times too high or too low. What lies below a millionth of the
largest measured loss, or below 10⁻⁶ where that is less, counts as that much between the points; a
measured point keeps its loss. Losses that may be negative, or are all 0, are interpolated as they
are, and an error is a share of the range of the measured ones.

Where the loss is not finite there is nothing to interpolate: a place whose nearest measured point
is not finite is not either, and the border between the two is followed to within ``BORDER`` steps.

References:
    Duchon, "Splines minimizing rotation-invariant semi-norms in Sobolev spaces", 1977.
    Rippa, "An algorithm for selecting a good value for the parameter c in radial basis function
    interpolation", Adv. Comput. Math. 11, 1999: the error from points left out one by one.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from samar.landscapes.grid import Floats, Index
from samar.landscapes.result import Landscape, percent

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
FIRST = 4
"""Cells along an axis of the grid that is measured whole at first."""
FEWEST, SHARE = 4, 0.05
"""Points of a batch: so many, or that share of those measured if it is more."""
BORDER = 2.0
"""Steps of the finest grid."""
SAFETY = 3.0
"""How much larger than expected the largest error may well be."""
FLOOR = 1e-6
"""Smallest loss with a logarithm, as a share of the largest loss, and at most of 1."""


def floor_of(largest: float) -> float:
    """Where the logarithms of losses end: a smaller one counts as this, in figures too.

    Args:
        largest: of the losses; one that is not above 0 is taken for 1.
    """
    return FLOOR * min(max(largest, 0.0), 1.0) or FLOOR


@dataclass(frozen=True)
class Scale:
    """How losses are interpolated, and what their errors mean.

    Attributes:
        relative: by their logarithms, else as they are.
        unit: by which errors are divided where they are not relative.
        floor: of relative ones; see :func:`floor_of`.
    """

    relative: bool
    unit: float = 1.0
    floor: float = FLOOR

    @classmethod
    def of(cls, losses: Floats) -> "Scale":
        """What suits these losses."""
        finite = losses[np.isfinite(losses)]
        if not finite.size or finite.min() >= 0 < finite.max():
            return cls(True, floor=floor_of(float(finite.max(initial=0))))
        return cls(False, float(np.ptp(finite)) or 1.0)

    def interpolated(self, losses: Floats) -> Floats:
        """What is interpolated in place of the losses."""
        return np.log(np.maximum(losses, self.floor)) if self.relative else losses / self.unit

    def loss(self, values: Floats) -> Floats:
        """The losses again."""
        return np.exp(values) if self.relative else values * self.unit

    def error(self, distance: float) -> float:
        """The distance of two interpolated values as an error of the losses."""
        return float(np.expm1(min(distance, 700.0))) if self.relative else distance

    def distance(self, error: float) -> float:
        """The reverse of :meth:`error`."""
        return float(np.log1p(error)) if self.relative else error


class Refinement:
    """The batches of one plane, each of which follows from the losses of those before it.

    Args:
        points: along each axis of the finest grid.
        tolerance: largest error, see the head of this file.

    Attributes:
        chosen: (n, n) points of all batches so far.
        error: estimate of the largest error of the surface, once the losses of all batches are
            known; infinite before. What lies between the points of the finest grid is not counted.
    """

    def __init__(self, points: int, tolerance: float) -> None:
        self.tolerance = tolerance
        self.error = np.inf
        self.chosen: Mask = np.zeros((points, points), dtype=bool)
        coarse = range(0, points, (points - 1) // FIRST)
        self._next: list[Index] = [(row, column) for row in coarse for column in coarse]

    def __str__(self) -> str:
        """The error, as a clause."""
        error = f"error about {percent(self.error)}" if self.error < 10 else "error not known yet"
        return f"{error}, tolerated {percent(self.tolerance)}"

    @property
    def finished(self) -> bool:
        """Whether the error is small enough, or no point of the finest grid is left."""
        return self.error <= self.tolerance

    def batch(self) -> list[Index]:
        """The points to measure next, from the centre outwards; none when the plane is done."""
        for index in self._next:
            self.chosen[index] = True
        middle = (len(self.chosen) - 1) / 2
        return sorted(self._next, key=lambda index: sum((i - middle) ** 2 for i in index))

    def observe(self, losses: Floats) -> None:
        """Learn what was measured, and find what to measure next.

        Args:
            losses: (n, n), read at the points of all batches so far.
        """
        scale = Scale.of(losses[self.chosen])
        surface = Surface(self.chosen.copy(), scale.interpolated(losses))
        density = surface.density()

        def expected(distance: Floats) -> Floats:
            border = np.where(surface.at_border & (distance > BORDER), UNKNOWN, 0)
            # Rounded, so that no last bit of another machine decides between two places.
            return (np.maximum(density, border) * distance**2).astype(np.float32)

        self.error = scale.error(SAFETY * float(expected(surface.distance).max(initial=0)))
        self._next = []
        if self.finished:
            return
        enough, most = scale.distance(self.tolerance) / SAFETY, int(SHARE * self.chosen.sum())
        distance = surface.distance.copy()
        errors = expected(distance)
        # Each place is chosen as if those before it were measured already.
        while len(self._next) < max(FEWEST, most) and errors.max(initial=0) > 0:
            if len(self._next) >= FEWEST and errors.max() <= enough:
                break
            place = surface.places[errors.argmax()]
            self._next.append((int(place[0]), int(place[1])))
            to_it = np.sqrt(((surface.places - place) ** 2).sum(axis=1))
            distance = np.minimum(distance, to_it)
            errors = expected(distance)

    def completed(self, found: Landscape) -> Landscape:
        """A landscape of the finest grid with what is not measured interpolated."""
        done = found.done
        scale = Scale.of(found.loss[done])
        values = scale.interpolated(found.loss)
        loss, accuracy = Surface(done, values).filled(values, found.accuracy)
        facts = {
            "sampling": "adaptive",
            "tolerance": self.tolerance,
            "error": self.error,
            "error_of": "loss" if scale.relative else "range",
            "measured": int(done.sum()),
        }
        return replace(
            found,
            loss=np.where(done, found.loss, scale.loss(loss)),
            accuracy=np.where(done, found.accuracy, np.clip(accuracy, 0, 1)),
            manifest=found.manifest | facts,
        )


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
