"""CIFAR-10 and CIFAR-100 in torchvision's folder layout, fetched on request.

Files of an existing torchvision download are used as they are. torchvision checks the MD5 of every
file before it is read, and the archive's MD5 is checked before anything is taken out of it.

Reference:
    Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, 2009.
"""

import tarfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torchvision.datasets import CIFAR10, CIFAR100

from samar.data.catalog import DATASETS, DatasetInfo
from samar.data.dataset import ImageSet, Splits
from samar.data.sources.download import Progress, download, md5_of
from samar.errors import DataError


@dataclass(frozen=True)
class Archive:
    """Where a data set comes from; ``files`` is the torchvision class that reads it."""

    info: DatasetInfo
    files: type[CIFAR10]
    url: str

    @property
    def name(self) -> str:
        """File name of the archive."""
        return self.url.rsplit("/", 1)[-1]


ARCHIVES = {
    "cifar10": Archive(DATASETS["cifar10"], CIFAR10, CIFAR10.url),
    "cifar100": Archive(DATASETS["cifar100"], CIFAR100, CIFAR100.url),
}


def load_cifar(
    name: str, root: Path, *, fetch: bool = False, progress: Progress | None = None
) -> Splits:
    """Load CIFAR-10 or CIFAR-100 from ``root``.

    Args:
        name: "cifar10" or "cifar100".
        root: folder that holds the archive or what torchvision made of it.
        fetch: whether the archive may be fetched from the network when it is not there.
        progress: called with bytes so far and bytes in all.

    Raises:
        DataError: the files are missing or damaged, or cannot be fetched.
    """
    archive = ARCHIVES[name]
    try:
        return _read(archive, root)
    except RuntimeError:  # what torchvision says of missing and of damaged files
        _provide(archive, root, fetch, progress)
    return _read(archive, root)


def _read(archive: Archive, root: Path) -> Splits:
    train, test = (archive.files(root, train=part) for part in (True, False))
    return Splits(_image_set(train), _image_set(test), tuple(train.classes))


def _image_set(part: CIFAR10) -> ImageSet:
    pixels = torch.from_numpy(part.data)  # (n, 32, 32, 3)
    return ImageSet(pixels.permute(0, 3, 1, 2).contiguous(), torch.tensor(part.targets))


def _provide(archive: Archive, root: Path, fetch: bool, progress: Progress | None) -> None:
    """Make sure that the files of a whole archive lie in ``root``."""
    file = root / archive.name
    if not file.exists() or md5_of(file) != archive.files.tgz_md5:
        if not fetch:
            raise DataError(
                f"{archive.info.title} is missing or damaged in {root}; fetch it on the Train page "
                f"or with 'python -m samar download {archive.info.name}', or choose digits."
            )
        download(archive.url, file, archive.files.tgz_md5, progress)
    _extract(archive, file)


def _extract(archive: Archive, file: Path) -> None:
    """Take out the files that torchvision reads, and nothing else."""
    files = archive.files
    names = [name for name, _ in (*files.train_list, *files.test_list)]
    folder = file.parent / files.base_folder
    folder.mkdir(exist_ok=True)
    with tarfile.open(file) as tar:
        for name in (*names, files.meta["filename"]):
            member = tar.extractfile(f"{files.base_folder}/{name}")
            if member is not None:
                (folder / name).write_bytes(member.read())
