import os
from pathlib import Path

import pytest

from samar.data.presence import is_present, require_data, stamp
from samar.errors import DataError


@pytest.mark.parametrize(
    ("name", "folder"),
    [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python")],
)
def test_public_data_are_present_once_unpacked(tmp_path: Path, name: str, folder: str) -> None:
    from samar.data.sources.cifar import ARCHIVES

    assert ARCHIVES[name].files.base_folder == folder
    assert not is_present(name, tmp_path)
    (tmp_path / folder).mkdir()
    assert is_present(name, tmp_path)


def test_digits_are_always_present(tmp_path: Path) -> None:
    assert is_present("digits", tmp_path)


def test_a_folder_s_stamp_changes_when_an_image_comes_or_goes(tmp_path: Path) -> None:
    (tmp_path / "train" / "cat").mkdir(parents=True)
    name, times = f"folder:{tmp_path}", {stamp(f"folder:{tmp_path}")}
    image = tmp_path / "train" / "cat" / "1.png"
    for change in (image.touch, image.unlink):
        change()
        os.utime(image.parent, ns=(0, 2**61 + len(times)))
        times.add(stamp(name))
    assert len(times) == 3
    assert stamp("digits") == ""


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


def test_data_that_cannot_be_loaded_are_refused_before_any_work(tmp_path: Path) -> None:
    for name, sentence in (
        ("mnist", "The data set 'mnist' does not exist"),
        (f"folder:{tmp_path / 'none'}", "There is no folder .*none; check the path."),
        (f"folder:/{'a' * 5000}", "There is no folder"),
        (f"folder:{tmp_path}", "has no folder train; it needs train/CLASS/image files"),
    ):
        with pytest.raises(DataError, match=sentence):
            require_data(name)
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
    require_data(f"folder:{tmp_path}")
