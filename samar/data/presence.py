"""Whether a public data set is on this machine; answers without torch."""

from pathlib import Path

from samar.data.download import default_root

# torchvision's names for the unpacked archives.
FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


def is_present(name: str, root: Path | None = None) -> bool:
    """Whether the files of a data set lie in ``root``; they are verified only when loaded."""
    return name not in FOLDERS or ((root or default_root()) / FOLDERS[name]).is_dir()
