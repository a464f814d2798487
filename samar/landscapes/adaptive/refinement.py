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

from samar.landscapes.adaptive.spline import UNKNOWN, Mask, Surface
from samar.landscapes.grid import Floats, Index
from samar.landscapes.result import Landscape, percent

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
