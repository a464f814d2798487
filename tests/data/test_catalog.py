import subprocess
import sys

import pytest

from samar.data.catalog import AUGMENTATIONS, DATASETS, NORMALIZATIONS, dataset_info
from samar.data.load import load_dataset
from samar.errors import DataError


@pytest.mark.parametrize("name", DATASETS)
def test_entries_are_complete(name):
    info = dataset_info(name)
    assert info.name == name
    assert info.augment in AUGMENTATIONS
    assert info.normalize in NORMALIZATIONS


def test_digits_are_what_the_catalogue_says():
    info, digits = DATASETS["digits"], load_dataset("digits")
    assert (info.train, info.test) == (len(digits.train), len(digits.test))
    assert (info.channels, info.size) == (digits.train.channels, digits.train.size)
    assert info.classes == len(digits.classes)


def test_a_folder_is_described_without_looking_at_it():
    info = dataset_info("folder:/nowhere at all")
    assert info.name == "folder:/nowhere at all"
    assert info.title == "nowhere at all"
    assert "/nowhere at all" in info.help
    assert dataset_info("folder:C:\\photos\\my images\\").title == "my images"
    assert dataset_info("folder:/").title == "/"
    assert (info.classes, info.train, info.size, info.channels) == (None, None, 32, 3)


@pytest.mark.parametrize("name", ["mnist", "folder", "folder:", "folder: ", ""])
def test_anything_else_is_refused(name):
    with pytest.raises(DataError, match=rf"{name!r} does not exist; choose digits, .* folder:PATH"):
        dataset_info(name)


def test_the_catalogue_does_not_import_torch():
    code = "import samar.data.catalog, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
