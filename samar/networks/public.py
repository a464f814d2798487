"""Public CIFAR checkpoints that fit networks known here, and their published accuracies.

Nothing is fetched before it is asked for.

Two collections of He-type ResNets. *Idelbayev* has the paper's networks with option A shortcuts,
trained with ImageNet's mean and deviation (github.com/akamaster/pytorch_resnet_cifar10,
BSD-2-Clause; test errors from its README). *Chen* has option B shortcuts
(github.com/chenyaofo/pytorch-cifar-models, BSD-3-Clause; accuracies from its README). The training
logs that Chen publishes name mean (0.4914, 0.4822, 0.4465) and deviation (0.2023, 0.1994, 0.2010)
for CIFAR-10, and for CIFAR-100 (0.507, 0.4865, 0.4409) and (0.2673, 0.2564, 0.2761), which the
preset ``cifar100`` meets within 0.0001.

Both put the first eight digits of the file's SHA-256 into its name, as PyTorch's hub does; that is
what is verified. Addresses and digits were copied from the collections' own pages. Those of
Idelbayev's resnet20 and resnet56 agree with the files themselves; the others have not been fetched
where this list was written, because that machine has no network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from samar.data.catalog import DATASETS, NORMALIZATIONS, dataset_info
from samar.data.sources.download import download
from samar.errors import ConfigError
from samar.networks.inspection import Inspection
from samar.networks.library import ImportedModel, models_folder
from samar.settings.paths import FOLDER_PREFIX

IDELBAYEV = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/"
CHEN = "https://github.com/chenyaofo/pytorch-cifar-models/releases/download/resnet/"

POINT = 0.01
"""Below this a difference from the published accuracy needs no explanation."""
DEVIATIONS = 2.0
"""Standard errors within which chance alone usually leaves a result."""

Measured = Inspection | ImportedModel


@dataclass(frozen=True)
class PublicCheckpoint:
    """One public checkpoint.

    Attributes:
        name: what it is asked for by.
        collection: whose.
        model: key in :data:`samar.models.catalog.MODELS`.
        dataset: what it was trained on.
        normalize: key in :data:`samar.data.catalog.NORMALIZATIONS`.
        accuracy: published, on the original test images, a fraction.
        url: where it is.
        sha256: first digits of the file's SHA-256.
    """

    name: str
    collection: str
    model: str
    dataset: str
    normalize: str
    accuracy: float
    url: str
    sha256: str

    @property
    def file(self) -> str:
        """Its file name."""
        return self.url.rsplit("/", 1)[-1]


def _idelbayev(depth: int, digits: str, error: float) -> PublicCheckpoint:
    return PublicCheckpoint(
        name=f"idelbayev-resnet{depth}",
        collection="Idelbayev",
        model=f"resnet{depth}",
        dataset="cifar10",
        normalize="imagenet",
        accuracy=round(1 - error / 100, 4),
        url=f"{IDELBAYEV}resnet{depth}-{digits}.th",
        sha256=digits,
    )


def _chen(dataset: str, depth: int, digits: str, accuracy: float) -> PublicCheckpoint:
    return PublicCheckpoint(
        name=f"chen-{dataset}-resnet{depth}",
        collection="Chen",
        model=f"resnet{depth}-conv",
        dataset=dataset,
        normalize="cifar_per_image" if dataset == "cifar10" else "cifar100",
        accuracy=round(accuracy / 100, 4),
        url=f"{CHEN}{dataset}_resnet{depth}-{digits}.pt",
        sha256=digits,
    )


PUBLIC: dict[str, PublicCheckpoint] = {
    entry.name: entry
    for entry in (
        _idelbayev(20, "12fca82f", 8.27),
        _idelbayev(32, "d509ac18", 7.37),
        _idelbayev(44, "014dd654", 6.90),
        _idelbayev(56, "4bfd9763", 6.61),
        _idelbayev(110, "1d1ed7c2", 6.32),
        _chen("cifar10", 20, "4118986f", 92.60),
        _chen("cifar10", 32, "ef93fc4d", 93.53),
        _chen("cifar10", 44, "2a3cabcb", 94.01),
        _chen("cifar10", 56, "187c023a", 94.37),
        _chen("cifar100", 20, "23dac2f1", 68.83),
        _chen("cifar100", 32, "84213ce6", 70.16),
        _chen("cifar100", 44, "ffe32858", 71.63),
        _chen("cifar100", 56, "f2eff4c8", 72.63),
    )
}


def public_checkpoint(name: str) -> PublicCheckpoint:
    """Look a public checkpoint up.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in PUBLIC:
        raise ConfigError(f"There is no public checkpoint {name!r}; choose {', '.join(PUBLIC)}.")
    return PUBLIC[name]


def fetch(entry: PublicCheckpoint, progress: Callable[[int, int], None] | None = None) -> Path:
    """Download a public checkpoint, unless it was before, and verify its checksum.

    Args:
        progress: called with bytes so far and bytes in all (0 where the server does not say).

    Returns:
        The file, under its own name in ``SAMAR_HOME``.

    Raises:
        DataError: no network, a broken connection, or other bytes than expected.
    """
    file = models_folder() / "downloads" / entry.file
    if not file.is_file():
        download(entry.url, file, progress=progress, sha256=entry.sha256)
    return file


def published(sha256: str) -> PublicCheckpoint | None:
    """The public checkpoint that a file is, by its checksum."""
    return next((each for each in PUBLIC.values() if sha256.startswith(each.sha256)), None)


def difference(measured: Measured) -> str:
    """How far the accuracy is from the published one, in a sentence.

    Empty where that is less than a point, or where nothing was measured or published.
    """
    entry, accuracy = published(measured.sha256), measured.accuracy
    if entry is None or accuracy is None or abs(accuracy - entry.accuracy) <= POINT:
        return ""
    points = 100 * abs(accuracy - entry.accuracy)
    side = "below" if accuracy < entry.accuracy else "above"
    return f"{accuracy:.2%} is {points:.1f} points {side} the published {entry.accuracy:.2%}."


def reasons(measured: Measured) -> list[str]:
    """Why the accuracy may be another than the published one: one sentence or two on each of
    images, their number, normalization and precision; empty where :func:`difference` is.
    """
    entry = published(measured.sha256)
    if entry is None or not difference(measured):
        return []
    return [
        f"Images: {_which(measured, entry)}",
        f"How many: {_how_many(measured, entry)}",
        f"Normalization: {_normalization(measured, entry)}",
        "Precision: fp32. Another number format would change the result by far less than a point.",
    ]


def _which(measured: Measured, entry: PublicCheckpoint) -> str:
    original, title = DATASETS[entry.dataset].title, dataset_info(measured.dataset).title
    folder = "the folder " * measured.dataset.startswith(FOLDER_PREFIX)
    if measured.dataset == entry.dataset:
        return f"the test images of {original}, as published."
    return (
        f"{folder}{title}. The published accuracy is that on the original "
        f"test images of {original}. Copies that were saved as JPEG or resized cost accuracy, "
        "other photographs cost more."
    )


def _how_many(measured: Measured, entry: PublicCheckpoint) -> str:
    accuracy, images = measured.accuracy, measured.images
    assert accuracy is not None
    assert images is not None
    if measured.of is None:
        share = f"{images:,}"
    elif images < measured.of:
        share = f"{images:,} of {measured.of:,} test images"
    else:
        share = f"all {images:,} test images"
    chance = DEVIATIONS * (accuracy * (1 - accuracy) / images) ** 0.5
    return (
        f"{share}, published on {DATASETS[entry.dataset].test:,}. With {images:,} images chance "
        f"moves the result by up to about {100 * chance:.1f} points."
    )


def _normalization(measured: Measured, entry: PublicCheckpoint) -> str:
    right = NORMALIZATIONS[entry.normalize].title
    if measured.normalize == entry.normalize:
        return f"{right}, as in its training."
    known = NORMALIZATIONS.get(measured.normalize)
    used = known.title if known else "measured on these images"
    return f"{used}, but it was trained with {right}. That alone can cost many points."
