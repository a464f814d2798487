r"""Loss and accuracy along paths between two networks, the barriers, and a file that keeps them.

With ℓ_i(t) the loss of image i at θ(t), the rise over the straight connection of the ends' losses

    r(t) = 1/n Σ_i [ ℓ_i(t) − (1 − t) ℓ_i(0) − t ℓ_i(1) ]

has the standard error of the mean of the n brackets: the same images are measured at every point,
so most of what differs from image to image drops out. The barrier is max_t r(t) over the measured
points; r is 0 at both ends, so it is never below 0. Its error is that of r at the highest inner
point. The error says how much the barrier would differ for other images of the same kind. It says
nothing of other networks, of another bend, or of a rise between two measured points.

Reference:
    Frankle, Dziugaite, Roy, Carbin, "Linear Mode Connectivity and the Lottery Ticket Hypothesis",
    ICML 2020, arXiv 1912.05671, section 2 (error barrier, there against the mean of the ends);
    Entezari et al., arXiv 2110.06296, definition 2.2 (against the linear interpolation, as here).
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from samar.connectivity.catalog import CURVES, SPLIT_TITLES, path_title
from samar.errors import DataError
from samar.npz import read_npz, write_npz

Floats = npt.NDArray[np.float64]
COLUMNS = (
    *("loss", "loss_error", "rise", "rise_error"),
    *("accuracy", "accuracy_error", "drop", "drop_error"),
)


@dataclass(frozen=True)
class Barrier:
    """How far a path rises over the straight connection of its ends' values.

    Attributes:
        value: in nats of a loss, as a fraction of an accuracy; NaN where a point is not finite.
        error: standard error over images of the rise at ``t``.
        t: the inner point with the largest rise.
        rise: there; below 0 where the path has no barrier.
    """

    value: float
    error: float
    t: float
    rise: float


@dataclass(frozen=True, eq=False)
class Along:
    """One set of images along one path; each attribute (k,), one value per point.

    Attributes:
        loss: mean cross-entropy in nats; NaN where it is not finite.
        rise: of the loss over the straight connection of the ends' losses.
        accuracy: fraction of images that are classified right.
        drop: of the accuracy under the straight connection of the ends' accuracies.
        loss_error, rise_error, accuracy_error, drop_error: their standard errors over images.
    """

    loss: Floats
    loss_error: Floats
    rise: Floats
    rise_error: Floats
    accuracy: Floats
    accuracy_error: Floats
    drop: Floats
    drop_error: Floats

    @classmethod
    def of(cls, t: Floats, losses: Floats, hits: Floats) -> "Along":
        """From the values of each image.

        Args:
            t: (k,), from 0 to 1.
            losses: (k, n) of each image.
            hits: (k, n), whether each is classified right.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            columns = [*_mean(losses), *_mean(losses - _straight(t, losses))]
            hits = np.where(np.isfinite(losses.mean(1))[:, None], hits, np.nan)
            columns += [*_mean(hits), *_mean(_straight(t, hits) - hits)]
        return cls(*columns)


@dataclass(frozen=True, eq=False)
class Path:
    """One path between the two networks.

    Attributes:
        curve: key of :data:`samar.connectivity.catalog.CURVES`.
        aligned: whether it ends at the second network with its neurons in the first's order.
        t: (k,) from 0 to 1.
        along: by set of images, keys of :data:`samar.connectivity.catalog.SPLIT_TITLES`.
        training: (steps, 2), place on the curve and loss of each step of the bend's training; of
            a line (0, 2).
    """

    curve: str
    aligned: bool
    t: Floats
    along: Mapping[str, Along]
    training: Floats

    @property
    def title(self) -> str:
        """For people."""
        return path_title(self.curve, self.aligned)

    def barrier(self, split: str) -> Barrier:
        """Of the loss."""
        return _highest(self.t, self.along[split].rise, self.along[split].rise_error)

    def accuracy_barrier(self, split: str) -> Barrier:
        """Of the accuracy: how far it falls."""
        return _highest(self.t, self.along[split].drop, self.along[split].drop_error)


@dataclass(frozen=True, eq=False)
class Connection:
    """All paths that were measured between two networks.

    Attributes:
        paths: in the order of :attr:`samar.connectivity.settings.ConnectivitySettings.paths`.
        manifest: all that is needed to read and to repeat it, as plain values.
    """

    paths: tuple[Path, ...]
    manifest: dict[str, Any] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        """Sets of images that were measured."""
        return tuple(self.paths[0].along) if self.paths else ()

    def summary(self) -> dict[str, Any]:
        """The barriers, as the command line prints them as JSON; two first that a list shows."""
        if not self.paths:
            return {"paths": []}
        split = self.splits[0]
        return {
            "line_barrier": self.paths[0].barrier(split).value,
            "lowest_barrier": float(
                np.fmin.reduce([path.barrier(split).value for path in self.paths])
            ),
            "paths": [
                {
                    "curve": path.curve,
                    "aligned": path.aligned,
                    **{
                        f"{split}_{name}": value
                        for split in path.along
                        for name, value in _numbers(path, split).items()
                    },
                }
                for path in self.paths
            ],
        }

    def save(self, target: str | FilePath | BinaryIO) -> None:
        """Write everything as a NumPy archive."""
        arrays: dict[str, Any] = {}
        about = []
        for number, path in enumerate(self.paths):
            about.append({"curve": path.curve, "aligned": path.aligned, "sets": [*path.along]})
            arrays[f"t_{number}"] = path.t
            arrays[f"training_{number}"] = path.training
            for split, along in path.along.items():
                for name in COLUMNS:
                    arrays[f"{split}_{name}_{number}"] = getattr(along, name)
        text = {"manifest": self.manifest, "paths": about}
        write_npz(target, arrays, text)

    @classmethod
    def load(cls, source: FilePath | BinaryIO) -> "Connection":
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is missing or not one of these.
        """
        try:
            found, text = read_npz(source)
            if not isinstance(text["manifest"], dict):
                raise ValueError("its manifest is none")
            paths = tuple(_loaded(n, each, found) for n, each in enumerate(text["paths"]))
            if len({tuple(path.along) for path in paths}) > 1:
                raise ValueError("its paths are of different images")
        except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError) as error:
            raise DataError(f"{source} holds no paths ({error}); give a saved .npz.") from None
        return cls(paths, text["manifest"])

    def to_csv(self) -> str:
        """One row for each path, set of images and point; numbers read back as the same float64."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("curve", "aligned", "images", "t", *COLUMNS))
        for path in self.paths:
            for split, along in path.along.items():
                columns = [getattr(along, name).tolist() for name in COLUMNS]
                for t, *values in zip(path.t.tolist(), *columns, strict=True):
                    writer.writerow((path.curve, int(path.aligned), split, t, *values))
        return text.getvalue()


def _straight(t: Floats, values: Floats) -> Floats:
    """The straight connection of the values at both ends, (k, n)."""
    line: Floats = (1 - t)[:, None] * values[0] + t[:, None] * values[-1]
    return line


def _mean(values: Floats) -> tuple[Floats, Floats]:
    """Mean and its standard error over the last axis; NaN where the mean is not finite."""
    mean, n = values.mean(1), values.shape[1]
    error = values.std(1, ddof=1) / np.sqrt(n) if n > 1 else np.full_like(mean, np.nan)
    finite = np.isfinite(mean)
    return np.where(finite, mean, np.nan), np.where(finite, error, np.nan)


def _highest(t: Floats, rise: Floats, error: Floats) -> Barrier:
    if not np.isfinite(rise).all():
        return Barrier(*[float("nan")] * 4)
    at = 1 + int(rise[1:-1].argmax())
    return Barrier(max(0.0, float(rise[at])), float(error[at]), float(t[at]), float(rise[at]))


def _numbers(path: Path, split: str) -> dict[str, float]:
    loss, accuracy = path.barrier(split), path.accuracy_barrier(split)
    return {
        "barrier": loss.value,
        "barrier_error": loss.error,
        "barrier_at": loss.t,
        "rise": loss.rise,
        "accuracy_barrier": accuracy.value,
        "accuracy_barrier_error": accuracy.error,
    }


def _loaded(number: int, about: Mapping[str, Any], found: Mapping[str, Any]) -> Path:
    """One path of a file; ValueError, KeyError or TypeError where it is none."""
    curve, aligned, sets = about["curve"], about["aligned"], about["sets"]
    if curve not in CURVES or not isinstance(aligned, bool) or not set(sets) <= set(SPLIT_TITLES):
        raise ValueError(f"path {number} is none that this samar knows")
    t, training = found[f"t_{number}"], found[f"training_{number}"]
    if t.ndim != 1 or len(t) < 3 or (np.diff(t) <= 0).any() or t[0] != 0 or t[-1] != 1:
        raise ValueError(f"the points of path {number} do not go from 0 to 1")
    along = {}
    for split in sets:
        columns = [found[f"{split}_{name}_{number}"] for name in COLUMNS]
        if any(column.shape != t.shape or column.dtype.kind != "f" for column in columns):
            raise ValueError(f"the values of path {number} are not one number per point")
        along[split] = Along(*columns)
    if training.ndim != 2 or training.shape[1] != 2 or training.dtype.kind != "f":
        raise ValueError(f"the training of path {number} is none")
    return Path(curve, aligned, t, along, training)
