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

**Images.** Points may begin with the first few images, and take more where that is needed:
:mod:`samar.landscapes.adaptive.images` then tells their losses on all images, with the standard
error of each. The largest of these errors and the largest e(x) are put together as the root of the
sum of their squares, times the factor. The larger one is worked on: by more points, or by more
images at the points whose losses are least sure.

Where the loss is not finite there is nothing to interpolate: a place whose nearest measured point
is not finite is not either, and the border between the two is followed to within ``BORDER`` steps.

References:
    Duchon, "Splines minimizing rotation-invariant semi-norms in Sobolev spaces", 1977.
    Rippa, "An algorithm for selecting a good value for the parameter c in radial basis function
    interpolation", Adv. Comput. Math. 11, 1999: the error from points left out one by one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from samar.landscapes.adaptive.images import FLOOR, Estimate, ImagePlane, floor_of
from samar.landscapes.adaptive.losses import Counts
from samar.landscapes.adaptive.spline import UNKNOWN, Mask, Places, Surface
from samar.landscapes.grid import Floats, Index
from samar.landscapes.result import Landscape, known, percent

FIRST = 4
"""Cells along an axis of the grid that is measured whole at first."""
FEWEST, SHARE = 4, 0.05
"""Points of a batch: so many, or that share of those measured if it is more."""
BORDER = 2.0
"""Steps of the finest grid."""
SAFETY = 3.0
"""How much larger than expected the largest error may well be."""


@dataclass(frozen=True)
class Scale:
    """How losses are interpolated, and what their errors mean.

    Attributes:
        relative: by their logarithms, else as they are.
        unit: by which errors are divided where they are not relative.
        floor: of relative ones; see :func:`samar.landscapes.adaptive.images.floor_of`.
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
        images: begins with few images; None where every point is measured on all.

    Attributes:
        chosen: (n, n) points of all batches so far.
        wanted: (n, n) how many images the batches so far ask for, where points differ in that.
        error: estimate of the largest error of the surface, once the losses of all batches are
            known; infinite before. What lies between the points of the finest grid is not counted.
        image_error: the share of the images in it: what is left of it where all points are chosen.
    """

    def __init__(self, points: int, tolerance: float, images: ImagePlane | None = None) -> None:
        self.tolerance, self.images = tolerance, images
        self.error = self.image_error = np.inf
        self.chosen: Mask = np.zeros((points, points), dtype=bool)
        self.wanted: Counts = np.zeros((points, points), dtype=np.int64)
        step = (points - 1) // FIRST
        coarse = range(0, points, step)
        self._coarsest: list[Index] = [(row, column) for row in coarse for column in coarse]
        self._next: dict[Index, int] = {}

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
        if not self.chosen.any():
            self._next = dict.fromkeys(self._coarsest, self._fewest)
        for index, count in self._next.items():
            self.chosen[index], self.wanted[index] = True, count
        if self.images is not None and self.images.origin in self._next:
            self.wanted[self.images.origin] = self.images.images
        middle = (len(self.chosen) - 1) / 2
        return sorted(self._next, key=lambda index: sum((i - middle) ** 2 for i in index))

    @property
    def _fewest(self) -> int:
        return 0 if self.images is None else self.images.steps[0]

    def observe(self, losses: Floats | None = None) -> None:
        """Learn what was measured, and find what to measure next.

        Args:
            losses: (n, n), read at the points of all batches so far; None where points differ in
                their images, which then tell.
        """
        found = None if self.images is None else self.images.estimate(self.wanted)
        losses = losses if found is None else found.loss
        assert losses is not None
        scale = Scale.of(losses[self.chosen])
        surface = Surface(self.chosen.copy(), scale.interpolated(losses))
        density = surface.density()

        def between(distance: Floats) -> Floats:
            border = np.where(surface.at_border & (distance > BORDER), UNKNOWN, 0)
            expected: Floats = np.maximum(density, border) * distance**2
            return expected

        of_points = _Errors(surface.places, surface.distance, between)
        of_images = self._image_errors(found)
        both = np.hypot(of_points.largest, of_images.largest)
        self.error, self.image_error = (
            scale.error(SAFETY * float(each)) for each in (both, of_images.largest)
        )
        self._next = {}
        if self.finished:
            return
        enough, most = scale.distance(self.tolerance) / SAFETY, int(SHARE * self.chosen.sum())

        def worst(errors: _Errors, other: _Errors) -> list[Index]:
            left = enough**2 - min(other.largest, enough / 2**0.5) ** 2
            return errors.worst(max(FEWEST, most), left**0.5)

        if found is None or of_points.largest >= of_images.largest:
            self._next = dict.fromkeys(worst(of_points, of_images), self._fewest)
            return
        chosen = worst(of_images, of_points)
        count = found.wanted[chosen[0]]
        known = np.isfinite(found.loss)
        begun = [each for each in self._coarsest if known[each] and self.wanted[each] < count]
        # A level begins with the coarsest grid, so that its surface is known all over the plane.
        self._next = (
            dict.fromkeys(begun, int(count))
            if begun
            else {index: int(found.wanted[index]) for index in chosen}
        )

    def _image_errors(self, found: Estimate | None) -> "_Errors":
        """Of the points with fewer than all images, by how far the next ones with more are."""
        if found is None or not found.wanted.any():
            return _Errors(np.empty((0, 2), dtype=np.int64), np.empty(0), lambda d: d)
        places = np.argwhere(found.wanted)
        error, wanted = (each[tuple(places.T)] for each in (found.error, found.wanted))
        distance = np.empty(len(places))
        for count in np.unique(wanted):
            those, having = wanted == count, np.argwhere(self.wanted >= count)
            squares = ((places[those, None] - having) ** 2).sum(axis=-1)
            distance[those] = squares.min(axis=1, initial=2 * len(self.chosen) ** 2) ** 0.5
        return _Errors(places, distance, lambda d: error * (d / distance) ** 2)

    def completed(self, found: Landscape) -> Landscape:
        """A landscape of the finest grid with what is not measured interpolated."""
        done, facts = found.done, {"sampling": "adaptive", "tolerance": self.tolerance}
        if self.images is not None:
            each = self.images.each.copy()
            on_all = self.images.estimate(each.counts)
            found = replace(
                found,
                loss=on_all.loss,
                accuracy=on_all.accuracy,
                loss_se=known(on_all.loss_se),
                difference_se=known(on_all.difference_se),
                each=each,
            )
            facts |= {
                "initial_images": self.images.steps[0],
                "evaluations": int(each.counts.sum()),
                "image_error": self.image_error,
            }
        scale = Scale.of(found.loss[done])
        values = scale.interpolated(found.loss)
        loss, accuracy = Surface(done, values).filled(values, found.accuracy)
        facts |= {
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


class _Errors:
    """Errors at places, which fall with the square of the distance to what is known.

    Args:
        places: (m, 2).
        distance: (m,) of each to the nearest place where the error is 0.
        expected: errors (m,) at these distances.
    """

    def __init__(
        self, places: Places, distance: Floats, expected: Callable[[Floats], Floats]
    ) -> None:
        self._places, self._distance, self._expected = places, distance, expected
        self.largest = float(self._at(distance).max(initial=0))

    def _at(self, distance: Floats) -> Floats:
        # Rounded, so that no last bit of another machine decides between two places.
        return self._expected(distance).astype(np.float32)

    def worst(self, most: int, enough: float) -> list[Index]:
        """Where to measure next: where the error is largest, given the places chosen before it.

        Args:
            most: so many at most.
            enough: after the fewest of a batch, places with an error of at most this are left out.
        """
        chosen: list[Index] = []
        distance = self._distance.copy()
        errors = self._at(distance)
        while len(chosen) < most and errors.max(initial=0) > 0:
            if len(chosen) >= FEWEST and errors.max() <= enough:
                break
            place = self._places[errors.argmax()]
            chosen.append((int(place[0]), int(place[1])))
            to_it = np.sqrt(((self._places - place) ** 2).sum(axis=1))
            distance = np.minimum(distance, to_it)
            errors = self._at(distance)
        return chosen
