"""A trained network and its images, from a run or from a checkpoint file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from samar.data import Dataset, load_dataset
from samar.errors import CheckpointError, ConfigError, RunError
from samar.models import build_model, model_info
from samar.runs.paths import resume_path, weights_path
from samar.runs.service import Runs
from samar.runs.snapshots import load_snapshot
from samar.training import dataset_of, load_into, load_resume_state, load_weights

SUFFIXES = (".safetensors", ".pt", ".pth", ".th")


@dataclass(frozen=True, eq=False)
class Subject:
    """What a landscape or a spectrum is taken of.

    Attributes:
        title: for people.
        model: on the CPU, fp32, in train mode as built.
        facts: where it comes from, as plain values for a manifest.
    """

    title: str
    model: nn.Module
    dataset: Dataset
    facts: Mapping[str, str | int]


def load_subject(
    what: str, *, model: str | None = None, dataset: str | None = None, normalize: str = "auto"
) -> Subject:
    """Load a run by id or name, or a weights file together with its model and data set.

    Args:
        what: a run, a run at a step at which it kept its weights (``RUN@STEP``), or the path of a
            file that ends in one of ``SUFFIXES``.
        model, dataset, normalize: of a weights file; a run knows its own.

    Raises:
        RunError, CheckpointError, ConfigError, DataError: one sentence with the remedy.
    """
    if Path(what).suffix not in SUFFIXES:
        return _of_run(what)
    if model is None or dataset is None:
        raise ConfigError(f"{what} is a weights file; say which --model and --dataset it is for.")
    model_info(model)
    tensors = load_weights(Path(what))
    data = load_dataset(dataset, normalize=normalize)
    network = build_model(model, classes=len(data.classes), channels=data.test.channels)
    load_into(network, tensors, model)
    facts = {"checkpoint": Path(what).name, "model": model, "dataset": dataset}
    return Subject(Path(what).name, network, data, facts | {"normalize": normalize})


def _of_run(what: str) -> Subject:
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
