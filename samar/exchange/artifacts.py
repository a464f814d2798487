"""Files that a job kept, from somebody else: each must be what its kind says, as pages draw it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from samar.connectivity.result import Connection
from samar.curvature.result import Report
from samar.errors import DataError, SamarError
from samar.exchange.checked_zip import opened_zip
from samar.exchange.contents import (
    ConnectionFacts,
    FilmFacts,
    LandscapeFacts,
    PlaneFacts,
    fitting,
)
from samar.exchange.plain_json import plain_json
from samar.kinds.connectivity import PATHS
from samar.kinds.connectivity import PLANES as PATH_PLANES
from samar.kinds.curvature import REPORT
from samar.kinds.inspect import FOUND
from samar.kinds.landscape import LEVEL, PARTIAL, PREVIEW
from samar.kinds.train import MISLABELLED
from samar.landscapes.result import Landscape
from samar.landscapes.topology.samples import Samples, load_landscape
from samar.networks.inspection import Inspection
from samar.plain_text import shown
from samar.settings.job import JobSettings

MB = 1 << 20
ARRAYS = {
    r"image_loss\.npy": 512 * MB,
    r"(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,39}/){0,3}[A-Za-z_0-9]{1,40}\.npy": 32 * MB,
}
"""What an artifact's own archive may hold; an adaptive landscape has the loss of every image."""
MOST_ARRAYS = 640 * MB
FILM = {"film_plane": 2, "film_line": 1}
"""Directions of the landscapes that a training run measures."""
LANDSCAPES = (LEVEL, PREVIEW, PARTIAL)
PLANES = dict.fromkeys(PATH_PLANES.values(), 2)
"""Directions of the planes between two networks."""
MOST_IMAGES, MOST_CLASSES, LARGEST_SIDE = 100, 10_000, 1024
LONGEST_NAME = 255
"""Of a class, which a folder may name."""


def check_artifact(path: Path, kind: str, settings: JobSettings, what: str) -> None:
    """Make sure that a file can be read and drawn as its kind says.

    Args:
        settings: of the job that kept it.
        what: how messages call it.

    Raises:
        DataError: it cannot.
    """
    if path.suffix == ".safetensors":
        _check_weights(path, what)
    elif path.suffix == ".npz":
        with opened_zip(io.BytesIO(path.read_bytes()), ARRAYS, what, MOST_ARRAYS):
            pass
        _check_arrays(path, kind, settings, what)
    else:
        content = plain_json(path.read_bytes(), what, exact=True)
        try:
            if kind == REPORT:
                Report.from_json(content)
            elif kind == FOUND:
                Inspection.load(path)
        except (SamarError, ValueError) as error:
            reason = shown(error, 120)
            name = "curvature" if kind == REPORT else "inspection"
            raise DataError(f"{what} holds no {name} ({reason}); export the job again.") from None


def _check_weights(path: Path, what: str) -> None:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            if not file.keys():
                raise DataError(f"{what} holds no tensors; export it again.")
    except (safetensors.SafetensorError, OSError):
        raise DataError(f"{what} is not a readable safetensors file; export it again.") from None


def _check_arrays(path: Path, kind: str, settings: JobSettings, what: str) -> None:
    drawn = kind in (*LANDSCAPES, *FILM, *PLANES)
    try:
        if kind in LANDSCAPES:
            landscape = load_landscape(path)
        elif drawn:
            landscape = Landscape.load(path)
        elif kind == PATHS:
            connection = Connection.load(path)
        else:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
    except (SamarError, ValueError, EOFError, OSError, MemoryError, OverflowError) as error:
        missing = "landscape" if drawn else "paths" if kind == PATHS else "readable arrays"
        reason = shown(error, 160)
        raise DataError(f"{what} holds no {missing} ({reason}); export the job again.") from None
    if drawn:
        _check_landscape(landscape, kind, settings, what)
    elif kind == PATHS:
        _check_paths(connection, what)
    elif kind == MISLABELLED and not _are_mislabelled(arrays):
        raise DataError(f"{what} holds no images with their labels; export the job again.")


def _check_landscape(
    landscape: Landscape | Samples, kind: str, settings: JobSettings, what: str
) -> None:
    """A landscape of the directions that its kind has, with the facts that stand under it."""
    dim = (FILM | PLANES).get(kind) or getattr(settings, "dim", landscape.dim)
    if landscape.dim != dim:
        raise DataError(
            f"{what} has {landscape.dim} directions where it must have {dim}; export the job again."
        )
    wrong = f"{what} does not say how it was measured"
    fits = FilmFacts if kind in FILM else PlaneFacts if kind in PLANES else LandscapeFacts
    facts = fitting(fits, landscape.manifest, wrong)
    trail = landscape.trail if isinstance(landscape, Landscape) else None
    names = trail.names if trail is not None else ()
    if len(getattr(facts, "labels", "xy")) < dim:
        raise DataError(f"{wrong} (labels: one for each direction); export the job again.")
    if any(shown(text) != text for text in (*names, *_texts(landscape.manifest))):
        raise DataError(f"{what} holds hidden characters or an endless text, and is refused.")


def _check_paths(connection: Connection, what: str) -> None:
    """Paths with the facts that stand under them."""
    wrong = f"{what} does not say how it was measured"
    fitting(ConnectionFacts, connection.manifest, wrong)
    if not connection.paths or not connection.splits:
        raise DataError(f"{what} holds no path; export the job again.")
    if any(shown(text) != text for text in _texts(connection.manifest)):
        raise DataError(f"{what} holds hidden characters or an endless text, and is refused.")


def _texts(values: Any) -> list[str]:
    if isinstance(values, str):
        return [values]
    if isinstance(values, dict):
        return [*map(str, values), *(t for each in values.values() for t in _texts(each))]
    return [t for each in values for t in _texts(each)] if isinstance(values, list) else []


def _are_mislabelled(arrays: dict[str, Any]) -> bool:
    """Images uint8 (m, c, h, w), given and true label (m,), the names of the classes."""
    if not {"images", "given", "true", "classes"} <= set(arrays):
        return False
    images, classes = arrays["images"], arrays["classes"]
    labels = (arrays["given"], arrays["true"])
    return bool(
        images.dtype == np.uint8
        and images.ndim == 4
        and len(images) <= MOST_IMAGES
        and images.shape[1] in (1, 3)
        and 0 < max(images.shape[2:]) <= LARGEST_SIDE
        and classes.ndim == 1
        and classes.dtype.kind == "U"
        and len(classes) <= MOST_CLASSES
        and all(shown(name, LONGEST_NAME) == name for name in classes.tolist())
        and all(each.shape == images.shape[:1] and each.dtype.kind in "iu" for each in labels)
        and all(((each >= 0) & (each < len(classes))).all() for each in labels)
    )
