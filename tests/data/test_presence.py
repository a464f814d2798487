from pathlib import Path

import pytest

from samar.data.presence import is_present


@pytest.mark.parametrize(
    ("name", "folder"),
    [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python")],
)
def test_public_data_are_present_once_unpacked(tmp_path: Path, name: str, folder: str) -> None:
    from samar.data.cifar import ARCHIVES

    assert ARCHIVES[name].files.base_folder == folder
    assert not is_present(name, tmp_path)
    (tmp_path / folder).mkdir()
    assert is_present(name, tmp_path)


def test_digits_are_always_present(tmp_path: Path) -> None:
    assert is_present("digits", tmp_path)
