"""What an inspection found about a file of weights: read by faces, so without torch."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from samar.networks.shapes import Fit, Recognition


@dataclass(frozen=True)
class Trial:
    """One normalization, tried.

    Attributes:
        normalize: key in :data:`samar.data.NORMALIZATIONS`, or "auto" for what is measured on the
            data set's own training images.
        correct, images: of the images tried.
        distance: D of the first BatchNorm in nats; None where the network has none.
        tied: whether its accuracy cannot be told from the best one's.
    """

    normalize: str
    correct: int
    images: int
    distance: float | None
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
    """

    file: str
    sha256: str
    size: int
    recognition: Recognition
    fit: Fit | None
    dataset: str = ""
    normalize: str = ""
    trials: tuple[Trial, ...] = ()
    correct: int | None = None
    images: int | None = None
    loss: float | None = None
    of: int | None = None

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
        """Read what :meth:`as_json` gave."""
        return _adapter().validate_json(path.read_bytes())


@cache
def _adapter() -> TypeAdapter[Inspection]:
    return TypeAdapter(Inspection)
