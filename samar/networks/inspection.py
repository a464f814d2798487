"""What an inspection found about a file of weights: read by faces, so without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, FiniteFloat, TypeAdapter

from samar.data.catalog import NORMALIZATIONS
from samar.models.catalog import model_info

Shape = tuple[int, ...]


def _normalization(normalize: str) -> str:
    if normalize not in ("", "find", "auto", *NORMALIZATIONS):
        raise ValueError("there is no such normalization")
    return normalize


Normalize = Annotated[str, AfterValidator(_normalization)]
Model = Annotated[str, AfterValidator(lambda name: model_info(name).name)]


@dataclass(frozen=True)
class Mismatch:
    """One tensor that does not fit; a side without it is None.

    Attributes:
        name: in the registered network, or in the file where the network has none.
        expected: shape in the network.
        found: shape in the file.
    """

    name: str
    expected: Shape | None
    found: Shape | None

    @property
    def kind(self) -> str:
        """What is wrong, in a few words."""
        if self.expected is None:
            return "not in the network"
        return "missing in the file" if self.found is None else "other shape"


@dataclass(frozen=True)
class Fit:
    """A file of weights compared with one registered network.

    Attributes:
        model: key in :data:`samar.models.catalog.MODELS`.
        names: the file's name of every tensor of the network, where it fits.
        mismatches: tensor by tensor, where it does not.
        reason: why the file fits, or what keeps it from being used; a sentence.
    """

    model: Model
    names: Mapping[str, str]
    mismatches: tuple[Mismatch, ...]
    reason: str

    @property
    def fits(self) -> bool:
        """Whether every tensor of the file has its place in the network."""
        return not self.mismatches

    @property
    def problem(self) -> str:
        """Why the file cannot be used as this network; empty where it can."""
        return "" if self.fits else self.reason


@dataclass(frozen=True)
class Trial:
    """One normalization, tried.

    Attributes:
        normalize: key in :data:`samar.data.catalog.NORMALIZATIONS`, or "auto" for what is measured
            on the data set's own training images.
        correct, images: of the images tried.
        distance: D of the first BatchNorm in nats; None where the network has none.
        tied: whether its accuracy cannot be told from the best one's.
    """

    normalize: Normalize
    correct: int
    images: Annotated[int, Field(gt=0)]
    distance: FiniteFloat | None
    tied: bool

    @property
    def accuracy(self) -> float:
        """Fraction of the images tried that are classified correctly."""
        return self.correct / self.images


@dataclass(frozen=True)
class Inspection:
    """A file that was read, and how its network does on a data set's test images.

    Attributes:
        file: its name, for people.
        sha256: hexadecimal.
        size: in bytes.
        classes, channels: of the network, read off the tensors.
        parameters: in the file, BatchNorm's running statistics not counted.
        fit: how it fits the network that was chosen or recognized, or else the nearest.
        dataset: the images, a folder absolute; empty where nothing was measured.
        normalize: what was chosen or found.
        trials: what was tried, the chosen one first; empty where the normalization was given.
        correct, images, loss: measured on so many test images; None where that was not done.
        of: how many test images there are.
        mean, std: per channel, where the normalization was measured on the training images.
    """

    file: str
    sha256: str
    size: int
    classes: Annotated[int, Field(gt=0)]
    channels: int
    parameters: int
    fit: Fit
    dataset: str = ""
    normalize: Normalize = ""
    trials: tuple[Trial, ...] = ()
    correct: int | None = None
    images: int | None = None
    loss: FiniteFloat | None = None
    of: int | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def problem(self) -> str:
        """Why the file cannot be used as it is, in one sentence; empty where it can."""
        return self.fit.problem

    @property
    def accuracy(self) -> float | None:
        """Fraction of the images measured that are classified correctly."""
        return self.correct / self.images if self.correct is not None and self.images else None

    def as_json(self) -> bytes:
        """All of it as JSON."""
        return _adapter().dump_json(self)

    @classmethod
    def load(cls, path: Path) -> "Inspection":
        """Read what :meth:`as_json` gave.

        Raises:
            SamarError, ValueError: it is something else.
        """
        return _adapter().validate_json(path.read_bytes())


@cache
def _adapter() -> TypeAdapter[Inspection]:
    return TypeAdapter(Inspection)
