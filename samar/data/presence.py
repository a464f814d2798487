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
    yield top
    for name in _inner(top, top.stat().st_mtime_ns)[0]:
        yield from folders_from(top / name)


def counted(name: str) -> DatasetInfo:
    """What is known of a data set, with the classes and images of a folder that is there."""
    info, root = dataset_info(name), Path(name.removeprefix(FOLDER_PREFIX))
    if not name.startswith(FOLDER_PREFIX) or not is_folder(root):
        return info
    try:
        classes = {
            part: [each for each in (root / part).glob("[!.]*") if each.is_dir()]
            for part in ("train", "test")
        }
        train, test = (
            sum(
                _inner(folder, folder.stat().st_mtime_ns)[1]
                for each in folders
                for folder in folders_from(each)
            )
            for folders in classes.values()
        )
    except OSError:
        return info
    return replace(info, classes=len(classes["train"]), train=train, test=test)


@lru_cache(maxsize=10_000)
def _inner(folder: Path, _modified: int) -> tuple[tuple[str, ...], int]:
    """Its folders and how many images lie in it, kept because pages ask again and again."""
    try:
        with os.scandir(folder) as entries:
            shown = [each for each in entries if not each.name.startswith(".")]
    except OSError:
        return (), 0
    folders = tuple(each.name for each in shown if each.is_dir(follow_symlinks=False))
    files = {each.name for each in shown}.difference(folders)
    return folders, sum(Path(name).suffix.lower() in EXTENSIONS for name in files)


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
