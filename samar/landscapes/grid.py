"""Nested grids: a rough picture first, refined without computing any point twice.

A grid of 2^k + 1 points an axis holds every point of the one with 2^(k-1) + 1. Points are measured
level by level, from the centre outwards, and a mask says which are done: after 25 of them there is
a picture, and an interrupted grid goes on where it stopped.

Arrays are indexed like an image, ``loss[row, column]``: the first direction runs along columns (x),
the second along rows (y). A line has one index.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from samar.landscapes.settings import LEVELS

Floats = npt.NDArray[np.float64]
Span = tuple[float, float]
Index = tuple[int, ...]


class Grid:
    """A line or a plane being measured, level by level.

    Args:
        spans: (low, high) along each direction, one for a line, two for a plane.
        points: points along each axis at the finest level, one of ``LEVELS``.

    Attributes:
        loss, accuracy, loss_se, difference_se: NaN where nothing is measured yet.
        done: which points are.

    Raises:
        ValueError: a span is empty or not finite, or the number of points is another.

    Example:
        >>> grid = Grid([(-1, 1)], 5)
        >>> [grid.coordinates(index) for index in grid.pending(5)]
        [(0.0,), (-0.5,), (0.5,), (-1.0,), (1.0,)]
    """

    def __init__(self, spans: Sequence[Span], points: int) -> None:
        if points not in LEVELS:
            raise ValueError(f"points must be one of {LEVELS}, got {points}; choose 17.")
        if len(spans) not in (1, 2) or not all(_proper(span) for span in spans):
            raise ValueError(
                f"spans must be one or two pairs of finite low < high, got {list(spans)}; "
                "try (-1, 1)."
            )
        self.points = points
        shape = (points,) * len(spans)
        self.loss = np.full(shape, np.nan)
        self.accuracy = np.full(shape, np.nan)
        self.loss_se = np.full(shape, np.nan)
        self.difference_se = np.full(shape, np.nan)
        self.done = np.zeros(shape, dtype=bool)
        share = np.arange(points) / (points - 1)
        self.axes = tuple(low * (1 - share) + high * share for low, high in spans)

    @property
    def levels(self) -> tuple[int, ...]:
        """The grids on the way to the finest; each holds all points of the one before."""
        return tuple(level for level in LEVELS if level <= self.points)

    @property
    def finest(self) -> int:
        """The finest level that is complete; 0 if none is."""
        return max((n for n in self.levels if not self.pending(n)), default=0)

    def part(self, level: int) -> tuple[slice, ...]:
        """The rows and columns that a level holds."""
        return (slice(None, None, self._stride(level)),) * self.done.ndim

    def _stride(self, level: int) -> int:
        """How many of the finest steps make one of this level."""
        return (self.points - 1) // (level - 1)

    def pending(self, level: int) -> list[Index]:
        """Indices of a level that are not measured yet, from the centre outwards."""
        stride, middle = self._stride(level), (self.points - 1) / 2
        coarse = self.done[self.part(level)]
        missing = [tuple(int(i) * stride for i in index) for index in np.argwhere(~coarse)]
        return sorted(missing, key=lambda index: sum((i - middle) ** 2 for i in index))

    def coordinates(self, index: Sequence[int]) -> tuple[float, ...]:
        """(α) or (α, β) of a cell."""
        return tuple(float(axis[i]) for axis, i in zip(self.axes, reversed(index), strict=True))

    def put(
        self,
        index: Index,
        loss: float,
        accuracy: float,
        loss_se: float = np.nan,
        difference_se: float = np.nan,
    ) -> None:
        """Record a measurement, see :class:`samar.landscapes.evaluator.Value`; NaN is one too."""
        self.loss[index], self.accuracy[index], self.done[index] = loss, accuracy, True
        self.loss_se[index], self.difference_se[index] = loss_se, difference_se


def index_of_origin(axes: Sequence[Floats]) -> Index | None:
    """The cell at 0 along every axis; None where there is none."""
    found = [np.flatnonzero(axis == 0).tolist() for axis in reversed(axes)]
    return tuple(each[0] for each in found) if all(found) else None


def _proper(span: Span) -> bool:
    return len(span) == 2 and bool(np.isfinite(span).all()) and span[0] < span[1]
