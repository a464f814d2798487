"""Recorded runs: one NumPy archive of each, with its manifest inside.

A recording is made by ``python -m examples.recordings`` from real runs on data that ship with the
app. It holds columns of steps and epochs as the store of runs would give them, the Hessian's top
eigenvalues, planes of the loss, and tables of numbers that belong to no single run.
"""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from samar.errors import DataError
from samar.home import ASSETS
from samar.npz import read_npz
from samar.training.settings import TrainSettings

FOLDER = ASSETS / "replay"
Array = npt.NDArray[Any]
Columns = dict[str, Array]


@dataclass(frozen=True, eq=False)
class PlaneOverTime:
    """The loss on one plane at several moments of a run.

    Attributes:
        axes: (2, n) coordinates along the two directions.
        steps: (m,) the steps at which the planes were measured.
        loss: (m, n, n), ``[moment, row y, column x]``, mean cross-entropy in nats.
    """

    axes: Array
    steps: Array
    loss: Array


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """One run as it happened.

    Attributes:
        config: the settings, as plain values that
            :class:`samar.training.settings.TrainSettings` takes.
        steps: a column per quantity of a step; empty where only epochs were kept.
        epochs: a column per quantity of an epoch.
        looks: ``step``, ``lr`` (m,), ``values`` and ``residuals`` (m, 3): the Hessian's largest
            eigenvalues; empty where they were not measured.
        film: planes of the loss, if any were taken.
        changes: settings changed while it ran, as (step, {setting: value}).
        ending: ``finished``, or the sentence about its divergence.
    """

    config: dict[str, Any]
    steps: Columns = field(default_factory=dict)
    epochs: Columns = field(default_factory=dict)
    looks: Columns = field(default_factory=dict)
    film: PlaneOverTime | None = None
    changes: tuple[tuple[int, dict[str, float]], ...] = ()
    ending: str = "finished"


@dataclass(frozen=True, eq=False)
class Recording:
    """Runs and tables that one protocol made.

    Attributes:
        name: also the file's name, without ``.npz``.
        manifest: what it shows, when, with which versions, on which data.
        runs: by a name that says how they differ.
        tables: further arrays; the manifest says what they hold.
    """

    name: str
    manifest: dict[str, Any]
    runs: dict[str, RecordedRun] = field(default_factory=dict)
    tables: Columns = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """The manifest, with the command that repeats each run under today's defaults."""
        known = {key: TrainSettings.parse(run.config) for key, run in self.runs.items()}
        commands = {key: config.command for key, config in known.items()}
        return self.manifest | ({"commands": commands} if commands else {})

    def save(self, file: BinaryIO) -> None:
        """Write the archive; floats are kept as float32."""
        arrays: Columns = {f"table/{name}": _compact(a) for name, a in self.tables.items()}
        about: dict[str, Any] = {}
        for key, run in self.runs.items():
            about[key] = {"config": run.config, "changes": run.changes, "ending": run.ending}
            parts = {"steps": run.steps, "epochs": run.epochs, "looks": run.looks}
            if run.film is not None:
                film = run.film
                parts["film"] = {"axes": film.axes, "steps": film.steps, "loss": film.loss}
            for part, columns in parts.items():
                for name, column in columns.items():
                    arrays[f"{key}/{part}/{name}"] = _compact(column)
        text = json.dumps({"manifest": self.manifest, "runs": about}, ensure_ascii=False)
        content: dict[str, Any] = {"text": np.array(text), **arrays}
        np.savez_compressed(file, **content)

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read an archive.

        Raises:
            DataError: it is not there or not a recording.
        """
        try:
            arrays, text = read_npz(path)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"The recorded run {path.name} cannot be read ({type(error).__name__}); "
                "install samar again."
            ) from None
        parts: dict[str, dict[str, Columns]] = {key: {} for key in text["runs"]}
        tables: Columns = {}
        for name, array in arrays.items():
            array.flags.writeable = False
            key, _, rest = name.partition("/")
            if key == "table":
                tables[rest] = array
            else:
                part, _, column = rest.partition("/")
                parts[key].setdefault(part, {})[column] = array
        runs = {key: _run(about, parts[key]) for key, about in text["runs"].items()}
        return cls(path.stem, text["manifest"], runs, tables)


@lru_cache(maxsize=16)
def recording(name: str) -> Recording:
    """One of the recordings that ship with the app; its arrays are read-only.

    Raises:
        DataError: it cannot be read.
    """
    return Recording.load(FOLDER / f"{name}.npz")


def names() -> list[str]:
    """The recordings that are there."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


def _run(about: dict[str, Any], parts: dict[str, Columns]) -> RecordedRun:
    film = parts.get("film")
    known = TrainSettings.model_fields  # a setting that is gone since had no effect
    return RecordedRun(
        config={name: value for name, value in about["config"].items() if name in known},
        steps=parts.get("steps", {}),
        epochs=parts.get("epochs", {}),
        looks=parts.get("looks", {}),
        film=PlaneOverTime(film["axes"], film["steps"], film["loss"]) if film else None,
        changes=tuple((int(step), values) for step, values in about["changes"]),
        ending=about["ending"],
    )


def _compact(array: Array) -> Array:
    array = np.asarray(array)
    return array.astype(np.float32) if array.dtype == np.float64 else array
