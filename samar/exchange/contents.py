"""What the JSON of a job's archive may hold, where something here reads it.

What nothing reads may be there too: it is bounded, its texts are safe to show, and it is kept.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, create_model

from samar.errors import DataError
from samar.exchange.tables import LATER
from samar.jobs.records import EPOCH_COLUMNS, LABELS
from samar.kinds.curvature import ESTIMATE
from samar.landscapes.catalog import BATCHNORM, MOST_AXES
from samar.plain_text import shown

MOST_MEMBERS = 50_000
MOST_NAMES = 10_000
RANKS = 3
Count = Annotated[int, Field(ge=0, lt=2**53)]
Maybe = FiniteFloat | None
Numbers = Annotated[list[FiniteFloat], Field(max_length=MOST_NAMES)]
Some = Annotated[list[FiniteFloat], Field(min_length=1, max_length=MOST_NAMES)]
Word = Annotated[str, Field(max_length=500)]
Model = TypeVar("Model", bound=BaseModel)


class Facts(BaseModel):
    """Named values, more than these among them."""

    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())


class Exact(BaseModel):
    """These values and no others."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Member(Facts):
    """What the manifest says of a member of the archive."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class KeptFile(Exact):
    """An artifact, as the manifest lists it."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z_0-9]{0,31}$")]
    step: Count
    path: Annotated[str, Field(max_length=200)]
    at: FiniteFloat
    summary: dict[str, Any]


class Manifest(Facts):
    """The manifest; what it says of the job is read with more patience."""

    run: dict[str, Any]
    files: Annotated[dict[str, Any], Field(max_length=MOST_MEMBERS)]


class Listed(Facts):
    """The artifacts of a manifest; None in archives of version 0.1."""

    artifacts: Annotated[list[KeptFile], Field(max_length=MOST_MEMBERS)] | None = None


class Happened(Exact):
    """An event."""

    step: Count
    kind: Annotated[str, Field(min_length=1, max_length=32)]
    detail: dict[str, Any]
    at: FiniteFloat


class Detail(Facts):
    """Of any event; measurements say how long they took."""

    seconds: FiniteFloat = 0.0


class CurvatureDetail(Detail):
    """What a training run measured of its Hessian."""

    values: Annotated[Some, Field(min_length=RANKS)]
    residuals: Annotated[Some, Field(min_length=RANKS)]
    lr: Maybe
    trace: FiniteFloat
    trace_error: Maybe = None
    images: Count | None = None
    converged: bool = True


class EstimateDetail(Detail):
    """Eigenvalues on their way."""

    values: Some
    residuals: Some


class LabelsDetail(Detail):
    """What a network answers to wrongly labelled images."""

    answers: Annotated[list[Count], Field(max_length=MOST_NAMES)]


class StartedDetail(Detail):
    """With what a process began to work on a run."""

    data: Word | None = None


DETAILS: dict[str, type[Detail]] = {
    "curvature": CurvatureDetail,
    ESTIMATE: EstimateDetail,
    LABELS: LabelsDetail,
    "started": StartedDetail,
}

_COUNTS = ("epoch", "step", "grad_evals", "train_images")
_fields: Any = {
    name: (Count if name in _COUNTS else Maybe, None if name in LATER else ...)
    for name in EPOCH_COLUMNS
}
Epoch: type[BaseModel] = create_model("Epoch", __base__=Exact, **_fields)


class Racer(Facts):
    """A member in the summary of its race."""

    epoch: Count
    test_accuracy: FiniteFloat


class About(Facts):
    """Of what images a run is."""

    classes: Annotated[int, Field(ge=1, le=MOST_NAMES)] = 10
    mean: Numbers = []
    std: Numbers = []


class Summary(Facts):
    """A job's result; an entry that does not fit is left out."""

    epoch: Epoch | None = None  # type: ignore[valid-type]
    members: dict[str, Racer] = {}
    eigenvalues: Numbers = []
    residuals: Numbers = []
    about: About = About()
    measurements: dict[str, dict[str, Any]] = {}
    begun: Count = 0
    note: Word = ""
    missed: Word = ""
    away: Word = ""
    leader: Word = ""
    problem: Word | None = None
    model: Word | None = None
    imported: Word = ""
    peak: FiniteFloat = 0.0
    compile_seconds: FiniteFloat = 0.0
    accuracy: Maybe = None
    loss: Maybe = None
    images: Count | None = None
    correct: Count | None = None


class FilmFacts(Facts):
    """The manifest of a landscape that a training run measured."""

    images: Count = 0
    directions: Word = ""


class LandscapeFacts(Facts):
    """The manifest of a landscape that has a job of its own."""

    directions: Word
    norms: Numbers
    cosine: Maybe
    batchnorm: Word
    images: Count
    split: Word
    precision: Word
    forwards: Count
    seconds: FiniteFloat
    device: Word
    threads: Count = 1
    samar: Word
    torch: Word
    note: str = ""
    labels: Annotated[list[Word], Field(min_length=1, max_length=MOST_AXES)]
    model_loss: Maybe = None
    weight_norm: Maybe = None

    def model_post_init(self, _: Any) -> None:
        """Look at what only some directions have."""
        if self.batchnorm not in BATCHNORM:
            raise ValueError("batchnorm is unknown")
        if self.directions == "hessian":
            OfEigenvectors.model_validate(self.model_extra)
        elif self.directions == "pca":
            OfPath.model_validate(self.model_extra)


class PlaneFacts(LandscapeFacts):
    """The manifest of a plane through two networks and the bend between them."""

    curve: Literal["bezier", "chain"]
    split: Literal["train", "test"]
    bend: Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]


class ConnectionFacts(Facts):
    """The manifest of paths between two networks."""

    images: dict[Literal["train", "test", "given"], Count]
    calibration_images: Count
    distance: FiniteFloat
    aligned_distance: FiniteFloat | None = None
    moved: Count = 0
    neurons: Count = 0
    precision: Word
    device: Word
    samar: Word
    torch: Word


class OfEigenvectors(Facts):
    """What the manifest says where the directions are eigenvectors."""

    eigenvalues: Annotated[Some, Field(max_length=2)]
    residuals: Annotated[Some, Field(max_length=2)]
    products: Count
    eigenvector_images: Count


class OfPath(Facts):
    """What the manifest says where the directions are those of a path."""

    explained: Numbers


def fitting(model: type[Model], content: Any, sentence: str) -> Model:
    """Content as a model of this file.

    Args:
        sentence: what is wrong where it does not fit, without the full stop.

    Raises:
        DataError: it does not fit; says the first problem.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        words = problem["msg"].replace("Input should", "it should")
        told = shown(f"{where}: {words}" if where else words, 160)
        raise DataError(f"{sentence} ({told}); export the job again.") from None
