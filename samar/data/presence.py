"""Whether a public data set is on this machine; answers without torch."""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from samar.data.catalog import DATASETS, LAYOUT, DatasetInfo, dataset_info
from samar.data.sources.download import default_root
from samar.errors import DataError
from samar.settings.paths import FOLDER_PREFIX, is_folder

# torchvision's names for the unpacked archives.
FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


def is_present(name: str, root: Path | None = None) -> bool:
    """Whether the files of a data set lie in ``root``; they are verified only when loaded."""
    return name not in FOLDERS or ((root or default_root()) / FOLDERS[name]).is_dir()


def stamp(name: str) -> str:
    """Changes when files of a folder's data set come or go; empty for data that never changes.

    The folders' times are compared, not the files: a file overwritten in place goes unseen.
    """
    if not name.startswith(FOLDER_PREFIX):
        return ""
    root = Path(name.removeprefix(FOLDER_PREFIX))
    folders = [root, *(path for path in root.glob("*") if path.is_dir())]
    for path in root.glob("*/*"):
        folders += folders_from(path) if path.is_dir() else ()
    return f"{len(folders)} folders, {max(path.stat().st_mtime_ns for path in folders)}"


def folders_from(top: Path) -> Iterator[Path]:
    """A class's folder and those within it, at any depth, that are neither hidden nor links."""
    for folder, inner, _ in os.walk(top):
        inner[:] = [name for name in inner if not name.startswith(".")]
        yield Path(folder)


def image_files(folder: Path) -> list[Path]:
    """The images in a class's folder, at any depth, in order."""
    return sorted(
        (
            path
            for inner in folders_from(folder)
            for path in inner.iterdir()
            if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
        ),
        key=lambda path: (str(path.parent), path.name),
    )


def counted(name: str) -> DatasetInfo:
    """The facts of a data set, with the classes and images of a folder that is there."""
    info, root = dataset_info(name), Path(name.removeprefix(FOLDER_PREFIX))
    if not name.startswith(FOLDER_PREFIX) or not is_folder(root):
        return info
    classes, train, test = _counts(root, stamp(name))
    return replace(info, classes=classes, train=train, test=test)


@lru_cache(maxsize=100)
def _counts(root: Path, _stamp: str) -> tuple[int, int, int]:
    """Classes, training and test images of a folder, kept because pages ask again and again."""
    train, test = (
        [len(image_files(path)) for path in (root / part).glob("[!.]*") if path.is_dir()]
        for part in ("train", "test")
    )
    return len(train), sum(train), sum(test)


def require_data(name: str) -> None:
    """Make sure, before anything is started, that a data set is on this machine.

    Raises:
        DataError: there is no such data set, it was not fetched yet, or its folder lacks a part.
    """
    folder = name.removeprefix(FOLDER_PREFIX)
    if name != folder and not is_folder(Path(folder)):
        raise DataError(f"There is no folder {folder}; check the path.")
    for part in ("train", "test") if name != folder else ():
        if not is_folder(Path(folder) / part):
            raise DataError(f"The folder {folder} has no folder {part}; {LAYOUT}.")
    dataset_info(name)
    if not is_present(name):
        raise DataError(
            f"{DATASETS[name].title} is not on this machine; fetch it on the Train page or with "
            f"'python -m samar download {name}', or choose digits."
        )
