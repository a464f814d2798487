"""Whether a public data set is on this machine; answers without torch."""

from pathlib import Path

from samar.data.catalog import DATASETS, FOLDER_PREFIX
from samar.data.sources.download import default_root
from samar.errors import DataError

# torchvision's names for the unpacked archives.
FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


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
    folders = [root, *(path for path in (*root.glob("*"), *root.glob("*/*")) if path.is_dir())]
    return f"{len(folders)} folders, {max(path.stat().st_mtime_ns for path in folders)}"


def require_data(name: str) -> None:
    """Make sure, before anything is started, that a data set is on this machine.

    Raises:
        DataError: the public data set was not fetched yet, or the folder is not there.
    """
    if name.startswith(FOLDER_PREFIX) and not Path(name.removeprefix(FOLDER_PREFIX)).is_dir():
        raise DataError(f"There is no folder {name.removeprefix(FOLDER_PREFIX)}; check the path.")
    if not is_present(name):
        raise DataError(
            f"{DATASETS[name].title} is not on this machine; fetch it on the Train page or with "
            f"'python -m samar download {name}', or choose digits."
        )
