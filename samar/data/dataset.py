"""Images and labels as tensors, and the pair of sets that a run learns from and is tested on."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from samar.data.normalization import Normalization
from samar.device.waiting import on_host
from samar.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Square images with one label each, kept as bytes on one device.

    Args:
        images: uint8 (n, c, size, size).
        labels: int64 (n,).

    Raises:
        DataError: type or shape is another, or there is no image.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        fits = len(shape) == 4 and shape[0] > 0 and shape[2] == shape[3]
        if not fits or self.images.dtype != torch.uint8:
            raise DataError(
                f"Images have shape {shape} and type {self.images.dtype}; "
                "give uint8 of shape (n, channels, size, size) with n ≥ 1."
            )
        if self.labels.shape != shape[:1] or self.labels.dtype != torch.int64:
            raise DataError(
                f"Labels of {shape[0]} images have shape {tuple(self.labels.shape)} and type "
                f"{self.labels.dtype}; give int64 of shape ({shape[0]},)."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.images.shape[1]

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return self.images.shape[2]

    def to(self, device: torch.device | str) -> "ImageSet":
        """Return the set on another device."""
        return ImageSet(self.images.to(device), self.labels.to(device))

    def subset(self, indices: Tensor) -> "ImageSet":
        """Return the images at ``indices`` (int64 (m,), on the same device), in that order."""
        return ImageSet(self.images[indices], self.labels[indices])

    def evenly_spaced(self, count: int) -> "ImageSet":
        """Return ``count`` images from all over the set, which may be sorted by class.

        Image i is number ⌊i·n/count⌋; all images where ``count`` is n or more.
        """
        n = len(self)
        if count >= n:
            return self
        return self.subset(evenly_spaced(count, n).to(self.labels.device))

    def others(self, count: int, wanted: int) -> "ImageSet":
        """So many images from all over the set, none of those that :meth:`evenly_spaced` gives.

        Args:
            count: that :meth:`evenly_spaced` is given.
            wanted: how many others.

        Raises:
            ConfigError: the set has fewer.
        """
        n = len(self)
        if count + wanted > n:
            raise ConfigError(
                f"{count} images and {wanted} others were asked for, but there are {n}; choose at "
                f"most {n} together."
            )
        left = torch.ones(n, dtype=torch.bool)
        left[evenly_spaced(count, n)] = False
        rest = left.nonzero()[:, 0]
        return self.subset(rest[evenly_spaced(wanted, len(rest))].to(self.labels.device))


def evenly_spaced(count: int, n: int) -> Tensor:
    """Which ``count`` of ``n`` things to take from all over: number i is ⌊i·n/count⌋, (count,)."""
    return torch.arange(count) * n // max(count, 1)


class Splits(NamedTuple):
    """What a source of images delivers."""

    train: ImageSet
    test: ImageSet
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Dataset:
    """All that a run needs to know about its data.

    Attributes:
        name: the name it was loaded by.
        train: images to learn from.
        test: images to test on; their labels are always right.
        validation: training images that are held out, to choose settings by; their labels may be
            as wrong as those trained on. None where nothing is held out.
        classes: names of the classes, in the order of the labels.
        normalization: belongs to the images.
        wrong_labels: labels of training images, held-out ones among them, that were replaced by
            wrong ones.
        checksum: SHA-256 of all images and labels, hexadecimal.
        true_labels: of ``train``, before some were replaced by wrong ones, int64 (n,); None where
            only the source could tell.
    """

    name: str
    train: ImageSet
    test: ImageSet
    classes: tuple[str, ...]
    normalization: Normalization
    wrong_labels: int
    checksum: str
    validation: ImageSet | None = None
    true_labels: Tensor | None = None

    def to(self, device: torch.device | str) -> "Dataset":
        """Return the data set on another device."""
        held_out = None if self.validation is None else self.validation.to(device)
        train, test = self.train.to(device), self.test.to(device)
        right = None if self.true_labels is None else self.true_labels.to(device)
        return replace(self, train=train, test=test, validation=held_out, true_labels=right)


def checksum(sets: Iterable[ImageSet]) -> str:
    """SHA-256 over shape and bytes of the images and labels of every set, hexadecimal."""
    digest = hashlib.sha256()
    for images in sets:
        for tensor in (images.images, images.labels):
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(on_host(tensor).contiguous().numpy().data)
    return digest.hexdigest()
