"""What an inspection found about a file of weights: read by faces, so without torch."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, FiniteFloat, TypeAdapter

from samar.data.catalog import NORMALIZATIONS, dataset_info
from samar.errors import DataError
from samar.models.catalog import MODELS
from samar.networks.shapes import Fit, Recognition
from samar.plain_text import shown

Count = Annotated[int, Field(ge=0, lt=2**53)]


def _known(normalize: str) -> str:
    if normalize not in ("", "find", "auto", *NORMALIZATIONS):
        raise ValueError("there is no such normalization")
    return normalize


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

    normalize: Annotated[str, AfterValidator(_known)]
    correct: Count
    images: Annotated[int, Field(gt=0, lt=2**53)]
    distance: FiniteFloat | None
    tied: bool

    @property
    def accuracy(self) -> float:
        """Fraction of the images tried that are classified correctly."""
        return self.correct / self.images


@dataclass(frozen=True)
class Inspection:
    """A file that was read, and what its network does on a data set's test images.

    Attributes:
        file: its name, for people.
        sha256: hexadecimal.
        size: in bytes.
        recognition: which network it is.
        fit: how it fits the network that was chosen or recognized, or else the nearest; None where
            it fits several and none was chosen.
        dataset: the images, a folder absolute; empty where nothing was measured.
        normalize: what was chosen or found.
        trials: what was tried, the chosen one first; empty where the normalization was given.
        correct, images, loss: measured on so many test images; None where that was not done.
        of: how many test images there are.
        mean, std: per channel, where the normalization was measured on the training images.
    """

    file: Annotated[str, Field(max_length=200)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Count
    recognition: Recognition
    fit: Fit | None
    dataset: str = ""
    normalize: Annotated[str, AfterValidator(_known)] = ""
    trials: tuple[Trial, ...] = ()
    correct: Count | None = None
    images: Count | None = None
    loss: FiniteFloat | None = None
    of: Count | None = None
    mean: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    std: tuple[Annotated[FiniteFloat, Field(gt=0)], ...] = ()

    @property
    def problem(self) -> str:
        """Why the file cannot be used as it is, in one sentence; empty where it can."""
        if self.fit is None or self.fit == self.recognition.nearest:
            return self.recognition.problem
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
        """Read what :meth:`as_json` gave; ValueError where it is something else."""
        found = _adapter().validate_json(path.read_bytes())
        if found.dataset:
            try:
                dataset_info(found.dataset)
            except DataError as error:
                raise ValueError(str(error)) from None
        fits = (found.fit, found.recognition.nearest, *found.recognition.fits)
        for fit in fits:
            if fit is not None and fit.model not in MODELS:
                raise ValueError(f"there is no network {shown(fit.model, 40)!r}")
            if fit is not None and not (fit.fits or fit.reason or fit.mismatches):
                raise ValueError("a network neither fits nor says why")
        numbers = (found.correct, found.images)
        if numbers != (None, None) and (
            None in numbers
            or not 0 <= found.correct <= found.images  # type: ignore[operator]
            or not (found.dataset and found.normalize)
        ):
            raise ValueError("its accuracy is none")
        if {len(found.mean), len(found.std)} not in ({0}, {found.recognition.channels}):
            raise ValueError("its normalization is none")
        if not (found.recognition.fits or found.recognition.nearest):
            raise ValueError("it names no network")
        return found


@cache
def _adapter() -> TypeAdapter[Inspection]:
    return TypeAdapter(Inspection)
