"""From a data set's name and options to tensors."""

from pathlib import Path

import torch
from torch import Tensor

from samar.data.catalog import dataset_info
from samar.data.dataset import Dataset, ImageSet, Splits, checksum, evenly_spaced
from samar.data.normalization import Normalization
from samar.data.randomness import Purpose, generator
from samar.data.sources.download import Progress, default_root
from samar.errors import ConfigError, told_if_missing
from samar.settings.paths import FOLDER_PREFIX


def load_dataset(
    name: str,
    *,
    root: Path | str | None = None,
    images_per_class: int | None = None,
    halve: bool = False,
    label_noise: float = 0.0,
    validation: float = 0.0,
    seed: int = 0,
    normalize: str = "auto",
    download: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Load a data set.

    Args:
        name: "digits", "cifar10", "cifar100" or "folder:PATH".
        root: folder of downloaded data; ``None`` is
            :func:`samar.data.sources.download.default_root`.
        images_per_class: use only the first so many training images of each class.
        halve: whether height and width are halved, each pixel the mean of four; the normalization
            is that of the whole images.
        label_noise: share of the training labels in use that are replaced by wrong ones.
        validation: share of the training images in use that is held out, evenly spaced, so that
            it is the same for every seed.
        seed: decides which labels become wrong.
        normalize: a key of :data:`samar.data.catalog.NORMALIZATIONS`, or "auto" for the data set's
            own. For a folder that is measured on all of its training images, also where
            ``images_per_class`` leaves some out.
        download: whether CIFAR may be fetched from the network.
        progress: called with bytes so far and bytes in all while fetching.

    Raises:
        DataError: images are missing, damaged, laid out wrongly, or cannot be fetched.
        ConfigError: an option is out of range.

    Example:
        >>> noisy = load_dataset("digits", label_noise=0.4)
        >>> len(noisy.train), len(noisy.test), noisy.wrong_labels
        (1000, 797, 400)
    """
    preset = dataset_info(name).normalize if normalize == "auto" else normalize
    train, test, classes = _splits(name, Path(root) if root else default_root(), download, progress)
    if preset is None:
        normalization = Normalization.measured(train.images)
    else:
        normalization = Normalization.preset(preset, train.channels)
    if images_per_class is not None:
        train = train.subset(_first_of_each(train.labels, images_per_class, classes))
    if halve:
        train, test = _halved(train), _halved(test)
    labels, wrong = with_label_noise(train.labels, label_noise, classes=len(classes), seed=seed)
    noisy, right, held_out = ImageSet(train.images, labels), train.labels, None
    if (chosen := _held_out(len(noisy), validation)) is not None:
        held_out = noisy.subset(chosen.nonzero().flatten())
        noisy, right = noisy.subset((~chosen).nonzero().flatten()), right[~chosen]
    return Dataset(
        name=name,
        train=noisy,
        test=test,
        classes=classes,
        normalization=normalization,
        wrong_labels=wrong,
        checksum=checksum((noisy, test)),
        validation=held_out,
        true_labels=right,
    )


def with_label_noise(labels: Tensor, rate: float, *, classes: int, seed: int) -> tuple[Tensor, int]:
    """Return a copy of the labels with some wrong ones, and how many are wrong.

    Exactly round(rate · n) of n labels, chosen without replacement, are replaced by one of the
    other classes, each as likely. Many papers draw from all classes instead, so that a share
    1 / classes of their "noisy" labels stays right; here the rate is the share that is wrong.

    Args:
        labels: int64 (n,).
        rate: share of labels to replace, from 0 to 1.
        classes: number of classes.
        seed: decides which labels become what.

    Raises:
        ConfigError: ``rate`` is not between 0 and 1.

    Reference:
        Zhang, Bengio, Hardt, Recht, Vinyals, "Understanding deep learning requires rethinking
        generalization", ICLR 2017, arXiv 1611.03530 (partially corrupted labels).
    """
    if not 0 <= rate <= 1:
        raise ConfigError(f"The label noise is {rate:g}; choose a share between 0 and 1.")
    rng = generator(seed, Purpose.LABEL_NOISE)
    wrong = round(rate * len(labels))
    where = torch.from_numpy(rng.permutation(len(labels))[:wrong])
    step = torch.from_numpy(rng.integers(1, classes, size=wrong))
    noisy = labels.clone()
    noisy[where] = (labels[where] + step) % classes
    return noisy, wrong


@told_if_missing()
def _splits(name: str, root: Path, fetch: bool, progress: Progress | None) -> Splits:
    """Ask the right reader; each brings a library that takes a second to import, so only one is."""
    if name == "digits":
        from samar.data.sources.digits import load_digits

        return load_digits()
    if name.startswith(FOLDER_PREFIX):
        from samar.data.sources.folder import load_folder

        return load_folder(name.removeprefix(FOLDER_PREFIX))
    from samar.data.sources.cifar import load_cifar

    return load_cifar(name, root, fetch=fetch, progress=progress)


def _halved(images: ImageSet) -> ImageSet:
    means = torch.nn.functional.avg_pool2d(images.images.float(), 2).round().to(torch.uint8)
    return ImageSet(means, images.labels)


def _held_out(n: int, share: float) -> Tensor | None:
    """Every so-manieth of n images, bool (n,); files sorted by class give every class its share."""
    if not 0 <= share < 1:
        raise ConfigError(f"The validation share is {share:g}; choose one from 0 to below 1.")
    if share == 0:
        return None
    count = round(n * share)
    if not 0 < count < n:
        raise ConfigError(
            f"A validation share of {share:g} takes {count} of {n} training images; choose another."
        )
    held_out = torch.zeros(n, dtype=torch.bool)
    held_out[evenly_spaced(count, n)] = True
    return held_out


def _first_of_each(labels: Tensor, count: int, classes: tuple[str, ...]) -> Tensor:
    """Indices of the first ``count`` images of every class, in the original order."""
    if count < 1:
        raise ConfigError(f"Images per class is {count}; choose at least 1.")
    found = torch.bincount(labels, minlength=len(classes))
    if count > found.min():
        fewest = int(found.argmin())
        raise ConfigError(
            f"Images per class is {count}, but class {classes[fewest]} has only {found[fewest]} "
            f"training images; choose at most {found[fewest]}."
        )
    firsts = [(labels == label).nonzero().flatten()[:count] for label in range(len(classes))]
    return torch.cat(firsts).sort().values
