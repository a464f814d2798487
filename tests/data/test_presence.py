import os
from pathlib import Path

import pytest

from samar.data.catalog import dataset_info
from samar.data.presence import stamp
from samar.errors import DataError


def test_a_folder_s_stamp_sees_what_the_reader_sees(tmp_path: Path) -> None:
    """Folders within a class's at any depth, also where that is a link; no hidden ones."""
    inner, hidden = (tmp_path / "elsewhere" / name for name in ("more/yet more", ".thumbnails/x"))
    inner.mkdir(parents=True)
    hidden.mkdir(parents=True)
    (tmp_path / "data" / "test").mkdir(parents=True)
    (tmp_path / "data" / "test" / "cat").symlink_to(tmp_path / "elsewhere")
    name = f"folder:{tmp_path / 'data'}"
    before = stamp(name)
    os.utime(hidden, ns=(0, 2**61))
    assert stamp(name) == before
    os.utime(inner, ns=(0, 2**61))
    assert stamp(name) != before


@pytest.mark.parametrize("name", ["mnist", "folder", "folder:", "folder: ", ""])
def test_anything_else_is_refused(name):
    with pytest.raises(DataError, match=rf"{name!r} does not exist; choose digits, .* folder:PATH"):
        dataset_info(name)
