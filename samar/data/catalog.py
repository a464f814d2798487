"""What the user can choose as data; importing this does not import torch."""

from dataclasses import dataclass

from samar.errors import DataError
from samar.settings.paths import FOLDER_PREFIX, expanded

LAYOUT = "it needs train/CLASS/image files and test/CLASS/image files"


@dataclass(frozen=True)
class DatasetInfo:
    """One data set.

    Attributes:
        name: what :func:`dataset_info` was asked for.
        title: name for people.
        help: one or two sentences for someone who chooses.
        classes: number of classes, ``None`` where only the files can tell.
        channels: channels of the images.
        size: height and width in pixels.
        train: number of training images, ``None`` where only the files can tell.
        test: number of test images, likewise.
        download_bytes: what has to be fetched from the network, 0 where nothing.
        augment: key in :data:`AUGMENTATIONS` that "auto" stands for.
        normalize: key in :data:`NORMALIZATIONS` that "auto" stands for, ``None`` where mean and
            deviation are measured on the training images.
    """

    name: str
    title: str
    help: str
    classes: int | None
    channels: int
    size: int
    train: int | None
    test: int | None
    download_bytes: int
    augment: str
    normalize: str | None

    def at_most(self, images: int, split: str) -> int:
        """So many images of "train" or "test", or all of them where there are fewer."""
        there = self.train if split == "train" else self.test
        return images if there is None else min(images, there)


@dataclass(frozen=True)
class NormalizationInfo:
    """Mean and standard deviation per channel, of pixel values between 0 and 1.

    A single value serves any number of channels; three values are averaged for grey images.
    """

    title: str
    help: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class AugmentationInfo:
    """One preset of random changes to the training images."""

    title: str
    help: str


DATASETS: dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            name="digits",
            title="Digits",
            help="1,797 real handwritten digits of 8×8 pixels that come with scikit-learn; "
            "1,000 to train on, 797 to test. Needs no network and trains in seconds.",
            classes=10,
            channels=1,
            size=8,
            train=1000,
            test=797,
            download_bytes=0,
            augment="none",
            normalize="digits",
        ),
        DatasetInfo(
            name="cifar10",
            title="CIFAR-10",
            help="Photographs of 32×32 pixels in ten classes; the data of the SAMAR paper.",
            classes=10,
            channels=3,
            size=32,
            train=50_000,
            test=10_000,
            download_bytes=170_498_071,
            augment="crop_flip_cutout",
            normalize="cifar",
        ),
        DatasetInfo(
            name="cifar100",
            title="CIFAR-100",
            help="Photographs of 32×32 pixels in a hundred classes; harder than CIFAR-10.",
            classes=100,
            channels=3,
            size=32,
            train=50_000,
            test=10_000,
            download_bytes=169_001_437,
            augment="crop_flip_cutout",
            normalize="cifar100",
        ),
    )
}

NORMALIZATIONS: dict[str, NormalizationInfo] = {
    "digits": NormalizationInfo(
        "digits", "Measured on the 1,000 training digits.", (0.3060,), (0.3764,)
    ),
    "cifar": NormalizationInfo(
        "CIFAR-10",
        "Measured on CIFAR-10's training images.",
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
    ),
    "cifar_per_image": NormalizationInfo(
        "CIFAR-10, per image",
        "CIFAR-10's mean with the average deviation within single images; common in public code.",
        (0.4914, 0.4822, 0.4465),
        (0.2023, 0.1994, 0.2010),
    ),
    "cifar100": NormalizationInfo(
        "CIFAR-100",
        "Measured on CIFAR-100's training images.",
        (0.5071, 0.4865, 0.4409),
        (0.2673, 0.2564, 0.2762),
    ),
    "imagenet": NormalizationInfo(
        "ImageNet",
        "Measured on ImageNet; what many public checkpoints expect.",
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    ),
    "half": NormalizationInfo("−1 to 1", "Mean and deviation one half.", (0.5,), (0.5,)),
    "none": NormalizationInfo("0 to 1", "Pixel values are only divided by 255.", (0.0,), (1.0,)),
}

AUGMENTATIONS: dict[str, AugmentationInfo] = {
    "none": AugmentationInfo("none", "The images as they are."),
    "flip": AugmentationInfo("flip", "Every second image is mirrored."),
    "crop_flip": AugmentationInfo(
        "crop and flip", "A random shift by up to an eighth of the image, and a mirror image."
    ),
    "crop_flip_cutout": AugmentationInfo(
        "crop, flip and Cutout",
        "Crop and flip, and on every second image a square of half its side is blanked out.",
    ),
}


def with_whole_path(name: str | None) -> str | None:
    """A data set's name that means the same to a process in another folder, as a worker may be.

    Raises:
        ConfigError: its path begins with the home folder of an unknown user.
    """
    if name is None or not name.startswith(FOLDER_PREFIX):
        return name
    path = name.removeprefix(FOLDER_PREFIX)
    return f"{FOLDER_PREFIX}{expanded(path)}" if path.strip() else name


def dataset_info(name: str) -> DatasetInfo:
    """Look a data set up by name: a key of :data:`DATASETS`, or ``folder:PATH``.

    The folder is not looked at; :func:`samar.data.load.load_dataset` does that.

    Raises:
        DataError: neither; the message lists what there is.
    """
    if name in DATASETS:
        return DATASETS[name]
    path = name.removeprefix(FOLDER_PREFIX)
    if path == name or not path.strip():
        raise DataError(
            f"The data set {name!r} does not exist; choose {', '.join(DATASETS)} or folder:PATH."
        )
    return DatasetInfo(
        name=name,
        title=path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path,
        help=f"Your own images in {path}: one folder per class under train and under test, "
        "resized to 32×32 pixels.",
        classes=None,
        channels=3,
        size=32,
        train=None,
        test=None,
        download_bytes=0,
        augment="crop_flip",
        normalize=None,
    )
