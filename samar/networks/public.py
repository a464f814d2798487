"""Public CIFAR checkpoints that fit networks known here; nothing is fetched before it is asked for.

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

from samar.data.sources.download import download
from samar.errors import ConfigError
from samar.networks.library import models_folder

IDELBAYEV = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/"
CHEN = "https://github.com/chenyaofo/pytorch-cifar-models/releases/download/resnet/"


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
