"""A finished landscape, or a level of one: arrays, a manifest, and a file that loses nothing."""

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, BinaryIO

import numpy as np

from samar.errors import DataError
from samar.landscapes.grid import Floats, Grid, index_of_origin
from samar.npz import read_npz, write_npz

ERRORS = ("loss_se", "difference_se")
"""Arrays of standard errors, in a landscape as in a grid."""


@dataclass(frozen=True, eq=False)
class Trail:
    """Networks seen from a plane: a training run's snapshots, or the ends of a path.

    Attributes:
        coordinates: (k, d) of the nearest points of the plane.
        off_plane: (k,) distance of each network to the plane, in weight space.
        loss, accuracy: (k,) of the networks themselves, not of the plane below them.
        names: of the networks.
    """

    coordinates: Floats
    off_plane: Floats
    loss: Floats
    accuracy: Floats
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Ball:
    """The edge of the ball of radius ρ around the network, as far as the plane cuts it.

    Attributes:
        rho: radius in weight space.
        coordinates: (k, d) of points on the edge.
        loss: (k,) there.
    """

    rho: float
    coordinates: Floats
    loss: Floats


@dataclass(frozen=True, eq=False)
class Landscape:
    """Loss and accuracy on a line or a plane.

    Attributes:
        axes: coordinates along each direction, each (n,).
        loss, accuracy: (n,) on a line, (n, n) on a plane, ``[row y, column x]``; NaN where the loss
            is not finite, or not known. Interpolated at the points that adaptive sampling left out.
        done: which points are measured.
        manifest: all that is needed to read and to repeat the picture, as plain values.
        trail: networks on or near the plane.
        ball: the ρ-ball's edge.
        loss_se: standard error of the loss at every point, from the spread over the images; NaN
            where it is not measured. None where no point has one.
        difference_se: of the loss minus the loss at the origin, paired image by image: how sure
            the shape is, where ``loss_se`` says how sure the level is.
    """

    axes: tuple[Floats, ...]
    loss: Floats
    accuracy: Floats
    done: Any
    manifest: dict[str, Any] = field(default_factory=dict)
    trail: Trail | None = None
    ball: Ball | None = None
    loss_se: Floats | None = None
    difference_se: Floats | None = None

    def __post_init__(self) -> None:
        known = (array for array in self.errors.values() if array is not None)
        for array in (*self.axes, self.loss, self.accuracy, self.done, *known):
            array.flags.writeable = False

    @classmethod
    def of(
        cls,
        grid: Grid,
        level: int,
        manifest: dict[str, Any],
        trail: Trail | None = None,
        ball: Ball | None = None,
    ) -> "Landscape":
        """A copy of one level of a grid."""
        cut = grid.part(level)
        return cls(
            tuple(axis[cut[0]].copy() for axis in grid.axes),
            grid.loss[cut].copy(),
            grid.accuracy[cut].copy(),
            grid.done[cut].copy(),
            manifest,
            trail,
            ball,
            **{name: known(getattr(grid, name)[cut]) for name in ERRORS},
        )

    @property
    def errors(self) -> dict[str, Floats | None]:
        """The standard errors by name."""
        return {name: getattr(self, name) for name in ERRORS}

    @property
    def is_adaptive(self) -> bool:
        """Whether only some points are measured, and the others interpolated."""
        return self.manifest.get("sampling") == "adaptive"

    @property
    def sampling(self) -> str:
        """Of an adaptive plane: how many points are measured, and the error."""
        if not self.is_adaptive:
            return ""
        facts, of = self.manifest, {"loss": "", "range": " of the range"}
        return (
            f"{facts['measured']:,} of {self.loss.size:,} points measured; the "
            f"loss at the others is interpolated, estimated error {percent(facts['error'])}"
            f"{of[facts['error_of']]} (tolerated {percent(facts['tolerance'])})"
        )

    @property
    def points(self) -> int:
        """Points along an axis."""
        return len(self.axes[0])

    @property
    def dim(self) -> int:
        """How many directions there are."""
        return len(self.axes)

    @property
    def is_plane(self) -> bool:
        """Whether there are two directions."""
        return len(self.axes) == 2

    @property
    def centre_loss(self) -> float:
        """The loss at the origin; NaN if no point lies there."""
        return self._at_origin(self.loss)

    def _at_origin(self, values: Floats | None) -> float:
        origin = index_of_origin(self.axes)
        return float("nan") if values is None or origin is None else float(values[origin])

    @property
    def lowest(self) -> float:
        """The lowest loss; NaN where none is finite."""
        finite = self.loss[np.isfinite(self.loss)]
        return float(finite.min()) if finite.size else float("nan")

    @property
    def barrier(self) -> float:
        """How far the loss on the line to another network rises above the chord between the two.

        max over α in [0, 1] of L(α) − (1 − α) L(0) − α L(1), Frankle et al. 2020 (arXiv
        1912.05671); NaN if 0 or 1 is not on the line.
        """
        (alpha,) = self.axes if not self.is_plane else (np.empty(0),)
        inside = (alpha >= 0) & (alpha <= 1)
        if not {0.0, 1.0} <= set(alpha.tolist()):
            return float("nan")
        loss, along = self.loss[inside], alpha[inside]
        return float(np.max(loss - (1 - along) * loss[0] - along * loss[-1]))

    @property
    def ends_missing(self) -> str:
        """Between networks: that these are no points of the grid, and what to do; else empty."""
        if self.manifest.get("directions") != "between" or all(
            {0.0, 1.0} <= set(axis.tolist()) for axis in self.axes
        ):
            return ""
        lost = "" if self.is_plane else ", and the barrier,"
        return (
            f"The networks lie at 0 and 1, which are no points of this grid, so the loss at the "
            f"centre{lost} is not known; a range of 0.5 or 1 has them."
        )

    def summary(self) -> dict[str, Any]:
        """The numbers that the command line prints."""
        finite = self.loss[self.done & np.isfinite(self.loss)]
        numbers = {
            "centre_loss": self.centre_loss,
            "model_loss": self.manifest.get("model_loss"),
            "min_loss": float(finite.min()) if finite.size else float("nan"),
            "max_loss": float(finite.max()) if finite.size else float("nan"),
        }
        kept = ("cosine", "norms", "forwards", "seconds")
        numbers |= {name: self.manifest.get(name) for name in kept}
        if self.manifest.get("directions") == "between" and not self.is_plane:
            numbers["barrier"] = self.barrier
        if self.loss_se is not None:
            numbers["centre_loss_se"] = self._at_origin(self.loss_se)
        if self.difference_se is not None:
            numbers["max_difference_se"] = float(np.nanmax(self.difference_se))
        if self.is_adaptive:
            numbers |= {name: self.manifest[name] for name in ("measured", "tolerance", "error")}
        if self.ball is not None:
            numbers["climb_within_rho"] = float(np.max(self.ball.loss)) - self.centre_loss
        return numbers

    def save(self, target: str | FilePath | BinaryIO) -> None:
        """Write everything as a NumPy archive."""
        arrays = {"loss": self.loss, "accuracy": self.accuracy, "done": self.done}
        arrays |= {name: array for name, array in self.errors.items() if array is not None}
        arrays |= {f"axis_{i}": axis for i, axis in enumerate(self.axes)}
        texts: dict[str, Any] = {"manifest": self.manifest}
        if self.trail is not None:
            names = ("coordinates", "off_plane", "loss", "accuracy")
            arrays |= {f"trail_{name}": getattr(self.trail, name) for name in names}
            texts["trail_names"] = self.trail.names
        if self.ball is not None:
            arrays |= {"ball_coordinates": self.ball.coordinates, "ball_loss": self.ball.loss}
            texts["rho"] = self.ball.rho
        write_npz(target, arrays, texts)

    @classmethod
    def load(cls, source: FilePath | BinaryIO) -> "Landscape":
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is missing or not one of these.
        """
        try:
            found, texts = read_npz(source)
            axes = tuple(found[f"axis_{i}"] for i in range(found["loss"].ndim))
            _check(axes, found, texts)
        except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError) as error:
            raise DataError(f"{source} holds no landscape ({error}); give a saved .npz.") from None
        trail = ball = None
        if "trail_names" in texts:
            names = ("coordinates", "off_plane", "loss", "accuracy")
            parts = {name: found[f"trail_{name}"] for name in names}
            trail = Trail(**parts, names=tuple(texts["trail_names"]))
        if "rho" in texts:
            ball = Ball(texts["rho"], found["ball_coordinates"], found["ball_loss"])
        arrays = (found["loss"], found["accuracy"], found["done"])
        errors = (found.get("loss_se"), found.get("difference_se"))
        return cls(axes, *arrays, texts["manifest"], trail, ball, *errors)


def percent(share: float) -> str:
    """A share, in few digits."""
    return (
        f"{100 * share:.2g} %"
        if share < 1
        else f"{100 * share:.0f} %"
        if share < 10
        else "> 1000 %"
    )


def known(array: Floats) -> Floats | None:
    """A copy of an array; None where nothing in it is."""
    return array.copy() if np.isfinite(array).any() else None


def _check(axes: tuple[Floats, ...], found: dict[str, Any], texts: dict[str, Any]) -> None:
    """Arrays of the shapes and kinds that a figure draws; ValueError, KeyError or TypeError."""
    if len(axes) not in (1, 2):
        raise ValueError(f"it has {len(axes)} directions, not one or two")
    shape = tuple(len(axis) for axis in axes[::-1])
    _expect("loss", found["loss"], shape)
    _expect("accuracy", found["accuracy"], shape)
    _expect("done", found["done"], shape, "b")
    for name in ERRORS:
        if name in found:
            _expect(name, found[name], shape)
    for number, axis in enumerate(axes):
        _expect(f"axis_{number}", axis, (axis.size,), finite=True)
        if not axis.size or (np.diff(axis) <= 0).any():
            raise ValueError(f"the points of axis_{number} do not ascend")
    if not isinstance(texts["manifest"], dict):
        raise ValueError("its manifest is none")
    if "trail_names" in texts:
        names = texts["trail_names"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("the names of its networks are none")
        count = len(names)
        _expect("coordinates", found["trail_coordinates"], (count, len(axes)), finite=True)
        _expect("off_plane", found["trail_off_plane"], (count,))
        _expect("loss", found["trail_loss"], (count,))
        _expect("accuracy", found["trail_accuracy"], (count,))
    if "rho" in texts:
        count = len(found["ball_loss"])
        _expect("ball_coordinates", found["ball_coordinates"], (count, len(axes)), finite=True)
        _expect("ball_loss", found["ball_loss"], (count,))
        if not count or not np.isfinite(float(texts["rho"])):
            raise ValueError("its ball has no radius or no edge")


def _expect(
    name: str, array: Any, shape: tuple[int, ...], kinds: str = "fiu", *, finite: bool = False
) -> None:
    if array.shape != shape or array.dtype.kind not in kinds:
        raise ValueError(f"{name} is {array.dtype} {array.shape} where it must be {shape}")
    if finite and not np.isfinite(array).all():
        raise ValueError(f"{name} holds a coordinate that is not finite")
