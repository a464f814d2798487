"""Landscapes for other programs: CSV for tables, VTK's PolyData (``.vtp``) for ParaView."""

import csv
import tempfile
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import numpy as np

from samar.errors import ConfigError
from samar.landscapes.result import Landscape

COLUMNS = ("loss", "accuracy", "done")
"""Of a table, after the coordinates; standard errors follow where they are known."""


def to_csv(landscape: Landscape) -> str:
    """One row per point in reading order: coordinates, loss, accuracy, whether it is measured.

    A point that is not measured has a loss all the same where that was interpolated. The standard
    errors follow, see :class:`samar.landscapes.result.Landscape`. Numbers are written so that
    reading them gives back the same float64.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    errors = {name: array for name, array in landscape.errors.items() if array is not None}
    names = ["alpha", "beta"][: landscape.dim]
    places = [*np.meshgrid(*landscape.axes)]
    writer.writerow([*names, *COLUMNS, *errors])
    columns = [*places, landscape.loss, landscape.accuracy, landscape.done.astype(int)]
    cells = (column.ravel().tolist() for column in (*columns, *errors.values()))
    writer.writerows(zip(*cells, strict=True))
    return text.getvalue()


def can_write_vtp() -> bool:
    """Whether the library that writes ``.vtp`` is installed."""
    return find_spec("pyevtk") is not None


def require_vtp(*, dim: int) -> None:
    """Make sure that a landscape can be written as ``.vtp``.

    Raises:
        ConfigError: it is no plane, or pyevtk is not installed.
    """
    if dim != 2:
        raise ConfigError("A line has no surface to write as .vtp; choose .csv, or dim 2.")
    if not can_write_vtp():
        raise ConfigError("Writing .vtp needs pyevtk; install it with: pip install pyevtk")


def to_vtp(landscape: Landscape) -> bytes:
    """The surface z = loss over the plane, with loss and accuracy at every point.

    So are standard errors where they are known, and of an adaptive plane which are measured.
    Cells with a corner that is not finite are left out.

    Raises:
        ConfigError: it is no plane, or pyevtk is not installed.
    """
    require_vtp(dim=landscape.dim)
    from pyevtk.vtk import VtkFile, VtkPolyData

    x, y = (place.ravel() for place in np.meshgrid(*landscape.axes))
    loss = np.nan_to_num(landscape.loss.ravel(), nan=0.0)
    values = {"loss": landscape.loss.ravel(), "accuracy": landscape.accuracy.ravel()}
    values |= {name: array.ravel() for name, array in landscape.errors.items() if array is not None}
    if landscape.is_adaptive:
        values["measured"] = landscape.done.ravel().astype(np.float64)
    quads = _quads(landscape)
    connectivity = quads.ravel()
    offsets = 4 * np.arange(1, len(quads) + 1)
    with tempfile.TemporaryDirectory() as folder:
        file = VtkFile(str(Path(folder) / "landscape"), VtkPolyData)
        file.openGrid()
        file.openPiece(npoints=len(x), npolys=len(quads))
        file.openElement("Points")
        file.addData("points", (x, y, loss))
        file.closeElement("Points")
        file.openElement("Polys")
        file.addData("connectivity", connectivity)
        file.addData("offsets", offsets)
        file.closeElement("Polys")
        file.openData("Point", scalars="loss")
        for name, column in values.items():
            file.addData(name, column)
        file.closeData("Point")
        file.closePiece()
        file.closeGrid()
        for data in ((x, y, loss), connectivity, offsets, *values.values()):
            file.appendData(data)
        file.save()
        return Path(file.getFileName()).read_bytes()


def _quads(landscape: Landscape) -> np.ndarray:
    """Point numbers (cells, 4) around each cell of which all corners are finite."""
    rows, columns = landscape.loss.shape
    number = np.arange(rows * columns).reshape(rows, columns)
    corners = (number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1])
    quads = np.stack([corner.ravel() for corner in corners], axis=1)
    kept: np.ndarray = quads[np.isfinite(landscape.loss.ravel()[quads]).all(axis=1)]
    return kept
