"""A file that was read, what it was recognized as, and which images it can be measured on."""

from dataclasses import dataclass
from pathlib import Path

from samar.data.catalog import DATASETS, FOLDER_PREFIX
from samar.data.dataset import Dataset
from samar.data.download import digest_of
from samar.data.presence import is_present
from samar.errors import CheckpointError
from samar.models.catalog import MODELS
from samar.networks.reading import Checkpoint, read_checkpoint
from samar.networks.recognition import Fit, Recognition, fit_to, recognize


@dataclass(frozen=True, eq=False)
class Examined:
    """A file that was read.

    Attributes:
        file: its name, for people.
        sha256: hexadecimal.
        size: in bytes.
    """

    file: str
    sha256: str
    size: int
    checkpoint: Checkpoint
    recognition: Recognition

    def fit(self, model: str | None = None) -> Fit:
        """How the file fits ``model``, or the one network it was recognized as.

        Raises:
            CheckpointError: it fits none, or more than one and none was chosen.
            ConfigError: there is no such network.
        """
        found = self.recognition
        if model is not None:
            return next((f for f in found.fits if f.model == model), None) or fit_to(
                self.checkpoint, model
            )
        if len(found.fits) == 1:
            return found.fits[0]
        if found.fits:
            names = " or ".join(fit.model for fit in found.fits)
            raise CheckpointError(f"{self.file} fits more than one network; choose {names}.")
        nearest = found.nearest
        assert nearest is not None
        if nearest.reason:
            raise CheckpointError(f"{self.file}: {nearest.reason}")
        raise CheckpointError(
            f"{self.file} fits no network known here; the nearest is "
            f"{MODELS[nearest.model].title}, where {len(nearest.mismatches)} tensors differ. "
            "Choose a network to see which."
        )


def examine(path: Path, *, name: str | None = None) -> Examined:
    """Read a file and recognize its network.

    Args:
        path: the file.
        name: what people call it; its own name if None.

    Raises:
        CheckpointError: it cannot be read, or holds no image classifier.
    """
    checkpoint = read_checkpoint(path)
    return Examined(
        file=name or path.name,
        sha256=digest_of(path, "sha256"),
        size=path.stat().st_size,
        checkpoint=checkpoint,
        recognition=recognize(checkpoint),
    )


def require_images(data: Dataset, *, classes: int, channels: int) -> None:
    """Make sure that a network's input and output are those of a data set.

    Raises:
        CheckpointError: classes or channels differ.
    """
    for what, has, needs in (
        ("classes", len(data.classes), classes),
        ("channels", data.test.channels, channels),
    ):
        if has != needs:
            raise CheckpointError(
                f"The network is made for {needs} {what}, but the images of {data.name} have "
                f"{has}; choose other images."
            )


def usual_dataset(classes: int, channels: int) -> str | None:
    """The data set on this machine that has so many classes and channels, None if there is none."""
    fitting = (
        name
        for name, info in DATASETS.items()
        if (info.classes, info.channels) == (classes, channels) and is_present(name)
    )
    return next(fitting, None)


def absolute(dataset: str) -> str:
    """A data set's name that means the same from every folder."""
    if not dataset.startswith(FOLDER_PREFIX):
        return dataset
    path = Path(dataset.removeprefix(FOLDER_PREFIX)).expanduser().resolve()
    return f"{FOLDER_PREFIX}{path}"
