import csv
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samar.errors import ConfigError, DataError
from samar.landscapes.export import can_write_vtp, to_csv, to_vtp
from samar.landscapes.grid import Grid
from samar.landscapes.result import Ball, Landscape, Trail


def landscape(dim: int = 2) -> Landscape:
    grid = Grid([(-1, 1), (0, 3)][:dim], 5)
    for number, index in enumerate(grid.pending(5)[:-1]):
        grid.put(index, 1 / (number + 3), number / 25)
    grid.put(grid.pending(5)[0], float("nan"), float("nan"))
    trail = Trail(np.ones((3, dim)), np.ones(3), np.arange(3.0), np.zeros(3), ("a", "b", "ρ"))
    ball = Ball(0.1, np.ones((4, dim)), np.linspace(0, 1 / 3, 4))
    return Landscape.of(grid, 5, {"seed": 1, "cosine": 1 / 7, "labels": ["x", "y"]}, trail, ball)


@pytest.mark.parametrize("dim", [1, 2])
def test_npz_loses_nothing(tmp_path: Path, dim: int) -> None:
    before = landscape(dim)
    before.save(tmp_path / "a.npz")
    after = Landscape.load(tmp_path / "a.npz")
    for name in ("loss", "accuracy", "done"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    np.testing.assert_array_equal(after.axes, before.axes)
    assert after.manifest == before.manifest
    for part in ("trail", "ball"):
        for name, value in vars(getattr(before, part)).items():
            np.testing.assert_array_equal(getattr(getattr(after, part), name), value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("hello")
    for name in ("a.npz", "missing.npz"):
        with pytest.raises(DataError, match="holds no landscape"):
            Landscape.load(tmp_path / name)


def test_csv_rows_are_in_reading_order_and_exact() -> None:
    """Not zig-zag: along a row the first coordinate rises."""
    found = landscape()
    header, *rows = csv.reader(to_csv(found).splitlines())
    assert header == ["alpha", "beta", "loss", "accuracy", "done"]
    table = np.array(rows, dtype=float)
    np.testing.assert_array_equal(table[:, 0], np.tile(found.axes[0], 5))
    np.testing.assert_array_equal(table[:, 1], np.repeat(found.axes[1], 5))
    np.testing.assert_array_equal(table[:, 2], found.loss.ravel())
    assert to_csv(landscape(1)).splitlines()[0] == "alpha,loss,accuracy,done"


def with_errors(**facts: object) -> Landscape:
    """Without the last point measured."""
    found = landscape()
    errors = [np.where(found.done, scale * np.abs(found.loss), np.nan) for scale in (0.1, 0.02)]
    return replace(
        found, loss_se=errors[0], difference_se=errors[1], manifest=found.manifest | facts
    )


def test_standard_errors_and_what_is_measured_are_written(tmp_path: Path) -> None:
    before = with_errors(sampling="adaptive")
    before.save(tmp_path / "a.npz")
    after = Landscape.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(after.loss_se, before.loss_se)
    np.testing.assert_array_equal(after.difference_se, before.difference_se)
    with pytest.raises(ValueError, match="read-only"):
        after.loss_se[0, 0] = 1
    header, *rows = csv.reader(to_csv(before).splitlines())
    assert header[-3:] == ["done", "loss_se", "difference_se"]
    table = np.array(rows, dtype=float)
    np.testing.assert_array_equal(table[:, -2], before.loss_se.ravel())
    np.testing.assert_array_equal(table[:, -3], before.done.ravel())
    if can_write_vtp():
        head = to_vtp(before).split(b"<AppendedData", 1)[0]
        for name in (b'"loss_se"', b'"difference_se"', b'"measured"'):
            assert name in head


def test_vtp_holds_the_surface() -> None:
    pytest.importorskip("pyevtk")
    found = landscape()
    content = to_vtp(found)
    head, data = content.split(b'<AppendedData encoding="raw">', 1)
    assert b'type="PolyData"' in head
    assert re.search(rb'NumberOfPoints="25".*NumberOfPolys="15"', head)  # the NaN is a corner
    points = np.frombuffer(data[data.index(b"_") + 9 :], count=75).reshape(25, 3)
    np.testing.assert_array_equal(points[:, 0], np.tile(found.axes[0], 5))
    np.testing.assert_array_equal(points[:, 1], np.repeat(found.axes[1], 5))
    np.testing.assert_array_equal(points[:, 2], np.nan_to_num(found.loss.ravel()))
    with pytest.raises(ConfigError, match="A line has no surface"):
        to_vtp(landscape(1))


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    landscape().save(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    for at in range(40, len(whole), 97):
        (tmp_path / "a.npz").write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
        with suppress(DataError):  # not every byte counts
            Landscape.load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(whole[:40] + b"\xff" * 200 + whole[240:])
    with pytest.raises(
        DataError, match=r"holds no landscape \(the file is damaged: .*; give a sav"
    ):
        Landscape.load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="the file is damaged"):
        Landscape.load(tmp_path / "a.npz")
