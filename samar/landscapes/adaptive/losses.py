"""The loss of single images at points of a plane that are measured on more and more of them.

The images stand in one order, and a point has the first so many of it: points that differ in how
many they have share the first.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from samar.landscapes.grid import Floats, Index

Counts = npt.NDArray[np.int64]


class ImageLosses:
    """What is known of single images, point by point.

    Args:
        shape: of the plane.

    Attributes:
        counts: of that shape, how many images a point has; 0 where it has none.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.counts: Counts = np.zeros(shape, dtype=np.int64)
        self._each: dict[Index, Floats] = {}

    def add(self, index: Index, losses: Any, right: Any) -> None:
        """The next images of a point: their losses, and 1 where they are right, (k,) both."""
        found = np.stack([np.asarray(losses, np.float64), np.asarray(right, np.float64)])
        if index in self._each:
            found = np.concatenate([self._each[index], found], axis=1)
        self._each[index] = found
        self.counts[index] = found.shape[1]

    def at(self, index: Index, count: int) -> Floats:
        """Losses of the first ``count`` images of a point, and 1 where they are right, (2, n)."""
        return self._each[index][:, :count]

    def take(self, other: "ImageLosses") -> None:
        """Take over what another knows of more images."""
        for index in map(tuple, np.argwhere(other.counts > self.counts).tolist()):
            self._each[index] = other._each[index]
            self.counts[index] = other.counts[index]

    def copy(self) -> "ImageLosses":
        """One that stays as it is while this one grows."""
        found = ImageLosses(self.counts.shape)
        found.take(self)
        return found

    def arrays(self) -> dict[str, Any]:
        """All of it as arrays for a file: point after point in reading order."""
        known = [self._each[tuple(index)] for index in np.argwhere(self.counts).tolist()]
        losses, right = np.concatenate([*known, np.empty((2, 0))], axis=1)
        return {"images": self.counts, "image_loss": losses, "image_right": right == 1}

    @classmethod
    def of(cls, counts: Any, losses: Any, right: Any) -> "ImageLosses":
        """From what :meth:`arrays` gave.

        Raises:
            ValueError: a point has fewer than no images.
        """
        if counts.min() < 0:
            raise ValueError("a point has a negative number of images")
        found, begin = cls(counts.shape), 0
        for index in map(tuple, np.argwhere(counts).tolist()):
            end = begin + int(counts[index])
            found.add(index, losses[begin:end], right[begin:end])
            begin = end
        return found
