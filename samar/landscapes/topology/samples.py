"""The loss at points of a subspace of more than two directions, where no grid would be affordable.

θ0 + Σ a_i d_i with coefficients a from a scrambled Sobol sequence, which fills a cube more evenly
than independent draws (Owen 1998, "Scrambling Sobol' and Niederreiter–Xing points"). There is
no surface to draw, but a merge tree: see :func:`samar.topology_of_points`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from samar.errors import DataError
from samar.landscapes.catalog import FIRST_SAMPLES
from samar.landscapes.grid import Floats, Points
from samar.landscapes.result import ERRORS, Landscape, known
from samar.landscapes.topology.merge_tree import MergeTree, topology_of_points
from samar.npz import read_npz, write_npz


class Cube(Points):
    """Points of the cube [−span, span]^d in the making: its centre, then a Sobol sequence.

    A level holds the first so many of them: 17, 33, 65 and so on, as 2^k points of the sequence
    and the centre fill the cube most evenly.

    Args:
        dim: d.
        span: half the width.
        points: how many at the finest level, the centre included.
        seed: of the sequence's scrambling.
    """

    def __init__(self, dim: int, span: float, points: int, seed: int = 0) -> None:
        import torch

        super().__init__(points, (points,))
        self.span, self.seed = span, seed
        engine = torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed)
        drawn = engine.draw(max(points - 1, 0), dtype=torch.float64).numpy()
        self.places = np.concatenate([np.zeros((1, dim)), span * (2 * drawn - 1)])

    @property
    def levels(self) -> tuple[int, ...]:
        """Ever twice as many points."""
        found = []
        level = FIRST_SAMPLES
        while level < self.points:
            found.append(level)
            level = 2 * level - 1
        return (*found, self.points)

    @property
    def reached(self) -> int:
        """How many are done: they are measured in order."""
        return int(self.done.sum())

    def part(self, level: int) -> tuple[slice, ...]:
        """The first so many."""
        return (slice(level),)

    def pending(self, level: int) -> list[tuple[int, ...]]:
        """Those of the first so many that are not measured yet."""
        return [(int(i),) for i in np.flatnonzero(~self.done[:level])]

    def coordinates(self, index: Sequence[int]) -> tuple[float, ...]:
        """The coefficients of a point."""
        return tuple(self.places[index[0]].tolist())


@dataclass(frozen=True, eq=False)
class Samples:
    """Loss and accuracy at points of a subspace; the first is the network itself.

    Attributes:
        points: (n, d) coefficients along the directions.
        distance: (n,) from the network, in weight space.
        loss, accuracy: (n,); NaN where the loss is not finite.
        manifest: all that is needed to read and to repeat it, as plain values.
        loss_se, difference_se: (n,) standard errors of the loss, and of its difference to the
            network's, as in :class:`samar.landscapes.result.Landscape`; None where not known.
    """

    points: Floats
    distance: Floats
    loss: Floats
    accuracy: Floats
    manifest: dict[str, Any] = field(default_factory=dict)
    loss_se: Floats | None = None
    difference_se: Floats | None = None

    def __post_init__(self) -> None:
        known = (array for array in self.errors.values() if array is not None)
        for array in (self.points, self.distance, self.loss, self.accuracy, *known):
            array.flags.writeable = False

    @classmethod
    def of(cls, cube: Cube, level: int, gram: Floats, manifest: dict[str, Any]) -> "Samples":
        """A copy of one level of a cube.

        Args:
            gram: (d, d) inner products of the directions.
        """
        part = cube.part(level)
        places = cube.places[part].copy()
        distance = np.sqrt(np.einsum("ni,ij,nj->n", places, gram, places))
        arrays = (cube.loss[part].copy(), cube.accuracy[part].copy())
        errors = (known(getattr(cube, name)[part]) for name in ERRORS)
        return cls(places, distance, *arrays, manifest, *errors)

    @property
    def errors(self) -> dict[str, Floats | None]:
        """The standard errors by name."""
        return {name: getattr(self, name) for name in ERRORS}

    @property
    def dim(self) -> int:
        """How many directions."""
        return int(self.points.shape[1])

    @property
    def done(self) -> Any:
        """Which are measured: all, (n,)."""
        return np.ones(len(self.loss), dtype=bool)

    @property
    def lowest(self) -> float:
        """The lowest loss; NaN where none is finite."""
        finite = self.loss[np.isfinite(self.loss)]
        return float(finite.min()) if finite.size else float("nan")

    @property
    def centre_loss(self) -> float:
        """The loss of the network itself."""
        return float(self.loss[0])

    def first(self, count: int) -> "Samples":
        """The first so many, the network among them."""

        def cut(array: Floats | None) -> Any:
            return None if array is None else array[:count].copy()

        names = ("points", "distance", "loss", "accuracy", *ERRORS)
        return replace(self, **{name: cut(getattr(self, name)) for name in names})

    def topology(self, *, threshold: float = 0.01, neighbours: int | None = None) -> MergeTree:
        """Minima, saddles and merge tree; see :func:`samar.topology_of_points`.

        Args:
            threshold: basins less deep than this share of the range of the loss are left out.
            neighbours: to which each point is joined; 4 d if None.

        Raises:
            ConfigError: a value does not fit.
            DataError: no loss is finite.
        """
        tree = topology_of_points(self.points, self.loss, neighbours=neighbours)
        return tree.simplified(threshold)

    def summary(self) -> dict[str, Any]:
        """The numbers that the command line prints."""
        finite = self.loss[np.isfinite(self.loss)]
        numbers = {
            "centre_loss": self.centre_loss,
            "model_loss": self.manifest.get("model_loss"),
            "min_loss": self.lowest,
            "max_loss": float(finite.max()) if finite.size else float("nan"),
            "max_distance": float(self.distance.max()),
        }
        kept = ("norms", "forwards", "seconds")
        numbers |= {name: self.manifest.get(name) for name in kept}
        if self.loss_se is not None:
            numbers["centre_loss_se"] = float(self.loss_se[0])
        if self.difference_se is not None:
            numbers["max_difference_se"] = float(np.nanmax(self.difference_se))
        return numbers

    def save(self, target: str | Path | BinaryIO) -> None:
        """Write everything as a NumPy archive."""
        arrays = {"points": self.points, "distance": self.distance}
        arrays |= {"loss": self.loss, "accuracy": self.accuracy}
        arrays |= {name: array for name, array in self.errors.items() if array is not None}
        write_npz(target, arrays, self.manifest)

    @classmethod
    def load(cls, source: Path | BinaryIO) -> "Samples":
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is missing or not one of these.
        """
        try:
            found, manifest = read_npz(source)
            arrays = [found[name] for name in ("points", "distance", "loss", "accuracy")]
            errors = [found.get(name) for name in ERRORS]
            first, *others = (*arrays, *(each for each in errors if each is not None))
            fits = first.ndim == 2 and first.size and np.isfinite(arrays[1]).all()
            if not fits or not all(each.shape == first.shape[:1] for each in others):
                raise ValueError("its arrays are " + ", ".join(str(a.shape) for a in arrays))
            if not all(each.dtype.kind == "f" for each in (first, *others)):
                raise ValueError("its arrays are no floats")
            if not np.isfinite(first).all():
                raise ValueError("points holds a coordinate that is not finite")
            if not isinstance(manifest, dict):
                raise ValueError("its manifest is none")
        except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError) as error:
            raise DataError(f"{source} holds no samples ({error}); give a saved .npz.") from None
        points, distance, loss, accuracy = arrays
        return cls(points, distance, loss, accuracy, manifest, *errors)


def load_landscape(source: Path) -> Landscape | Samples:
    """Read a saved landscape, or saved samples, whichever a file holds.

    Raises:
        DataError: it is missing or neither.
    """
    try:
        return Landscape.load(source)
    except DataError as error:
        try:
            return Samples.load(source)
        except DataError:
            raise error from None
