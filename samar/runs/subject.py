"""A trained network and its images: of a run, of an imported model, or of a checkpoint file.

Listing what there is does not import torch; loading does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samar.errors import CheckpointError, ConfigError, RunError
from samar.models import model_info
from samar.runs.paths import resume_path, weights_path
from samar.runs.service import Runs
from samar.zoo import ImportedModel, find_model, imported_models

if TYPE_CHECKING:
    from torch import nn

    from samar.data import Dataset

SUFFIXES = (".safetensors", ".pt", ".pth", ".th")


@dataclass(frozen=True)
class SubjectInfo:
    """One network that :func:`load_subject` knows, for a list to choose from.

    Attributes:
        id: what to call it by.
        title: for people; their own words, to be escaped.
        kind: "run" or "model".
        optimizer: key in :data:`samar.optim.OPTIMIZERS`; empty for an imported model.
        version: changes when the weights do.
        created: seconds since 1970.
        active: whether the run still trains, so that its weights go on changing.
    """

    id: str
    title: str
    kind: str
    optimizer: str
    version: int
    created: float
    active: bool

    @property
    def label(self) -> str:
        """Title and id, which no two share."""
        return f"{self.title} · {self.id}"


@dataclass(frozen=True, eq=False)
class Subject:
    """What a landscape or a spectrum is taken of.

    Attributes:
        title: for people.
        model: on the CPU, fp32, in train mode as built.
        facts: where it comes from, as plain values for a manifest.
    """

    title: str
    model: "nn.Module"
    dataset: "Dataset"
    facts: Mapping[str, str | int]


def subjects(runs: Runs | None = None) -> list[SubjectInfo]:
    """Every run that has saved weights, and every imported model, newest first.

    Args:
        runs: the service to ask; the default store's if None.
    """
    found = [
        SubjectInfo(m.id, m.title, "model", "", stamp, m.created, active=False)
        for m in imported_models()
        if (stamp := _stamp(m.weights))
    ]
    for run in (runs or Runs()).all():
        stamp = _stamp(weights_path(run.id)) or _stamp(resume_path(run.id))
        if stamp:
            made = (run.config.optimizer, stamp, run.created, run.active)
            found.append(SubjectInfo(run.id, run.title, "run", *made))
    return sorted(found, key=lambda info: -info.created)


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def load_subject(
    what: str,
    *,
    model: str | None = None,
    dataset: str | None = None,
    normalize: str | None = None,
) -> Subject:
    """Load a run or an imported model by id or name, or a weights file.

    Args:
        what: a run, a run at a step at which it kept its weights (``RUN@STEP``), an imported model,
            or the path of a file that ends in one of ``SUFFIXES``.
        model: of a weights file; recognized from its tensors if None.
        dataset: of a weights file; for an imported model, other images than those it came with.
        normalize: of a weights file, or with other images; "auto" and None leave it to the data
            set or the imported model. A run knows all three.

    Raises:
        RunError, CheckpointError, ConfigError, DataError: one sentence with the remedy.
    """
    normalize = normalize or "auto"
    known = find_model(what)
    if known is not None:
        _only_one(what, known)
        return _of_model(known, dataset, normalize)
    if Path(what).suffix not in SUFFIXES:
        return _of_run(what)
    if dataset is None:
        raise ConfigError(
            f"{what} is a weights file; say which --model and --dataset it is for. The model may "
            "be left out where it can be recognized."
        )
    return _of_file(Path(what), model, dataset, normalize)


def _only_one(what: str, model: ImportedModel) -> None:
    """A name that a run and a model share names neither."""
    if what == model.id:
        return
    try:
        run = Runs().get(what)
    except RunError:
        return
    raise RunError(
        f"{what!r} fits the run {run.id} and the model {model.id}; give one of these ids."
    )


def _of_model(known: ImportedModel, dataset: str | None, normalize: str) -> Subject:
    from samar.data import load_dataset
    from samar.models import build_model
    from samar.training import load_into, load_weights
    from samar.zoo import require_images

    if normalize == "auto":
        normalize = known.normalize
    data = load_dataset(dataset or known.dataset, normalize=normalize)
    network = build_model(known.model, classes=known.classes, channels=known.channels)
    load_into(network, load_weights(known.weights), known.model)
    require_images(data, classes=known.classes, channels=known.channels)
    facts = {
        "imported": known.id,
        "checkpoint": known.file,
        "sha256": known.sha256,
        "model": known.model,
        "dataset": data.name,
        "normalize": normalize,
    }
    return Subject(known.title, network, data, facts)


def _of_file(path: Path, model: str | None, dataset: str, normalize: str) -> Subject:
    from samar.data import load_dataset
    from samar.models import build_model
    from samar.training import load_into, load_weights
    from samar.zoo import examine, network_of, require_images

    facts = {"checkpoint": path.name, "dataset": dataset, "normalize": normalize}
    if model is not None:
        model_info(model)
        tensors = load_weights(path)
        data = load_dataset(dataset, normalize=normalize)
        network = build_model(model, classes=len(data.classes), channels=data.test.channels)
        load_into(network, tensors, model)
    else:
        examined = examine(path)
        fit = examined.fit()
        network, model = network_of(examined.checkpoint, fit).train(), fit.model
        data = load_dataset(dataset, normalize=normalize)
        found = examined.recognition
        require_images(data, classes=found.classes, channels=found.channels)
    return Subject(path.name, network, data, facts | {"model": model})


def _of_run(what: str) -> Subject:
    from samar.models import build_model
    from samar.runs.snapshots import load_snapshot
    from samar.training import dataset_of, load_into, load_resume_state, load_weights

    name, at, moment = what.partition("@")
    run = Runs().get(name)
    config = run.config
    step = run.step
    if at:
        if not moment.isdecimal():
            raise RunError(f"{what!r} names no step; write RUN@STEP, such as {name}@120.")
        step = int(moment)
        tensors = load_snapshot(run, step)
    elif weights_path(run.id).is_file():
        tensors = load_weights(weights_path(run.id))
    elif resume_path(run.id).is_file():
        tensors = load_resume_state(resume_path(run.id))["model"]
    else:
        raise RunError(
            f"Run {run.id} has saved no weights yet; wait for its first saved state or its end."
        )
    data = dataset_of(config)
    network = build_model(config.model, classes=len(data.classes), channels=data.train.channels)
    try:
        load_into(network, tensors, config.model)
    except CheckpointError as error:
        raise RunError(f"The weights of run {run.id} do not fit its settings: {error}") from None
    facts: dict[str, str | int] = {
        "run": run.id,
        "step": step,
        "model": config.model,
        "dataset": config.dataset,
        "normalize": config.normalize,
    }
    title = f"{run.title}, step {step}" if at else run.title
    return Subject(title, network, data, facts)
