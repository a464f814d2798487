"""Which network? A run, a run at a step, an imported network or a checkpoint file: answered here.

Listing, describing and pinning do not import torch; loading does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samar.data.catalog import DatasetInfo, dataset_info
from samar.data.presence import counted, require_data, stamp
from samar.data.sources.download import digest_of
from samar.errors import CheckpointError, ConfigError, RunError, shown
from samar.jobs.job import Job, job_dir, resume_path, weights_path
from samar.jobs.kind import of_a_script, training_kinds
from samar.jobs.records import Artifact
from samar.jobs.store import Store, fingerprint
from samar.jobs.work import Work
from samar.models.catalog import model_info
from samar.networks.library import ImportedModel, absolute, find_model, imported_models
from samar.networks.settings import NetworkSettings
from samar.settings.command import json_line
from samar.settings.paths import expanded, is_file
from samar.training.settings import TrainSettings

if TYPE_CHECKING:
    from torch import nn

    from samar.data.dataset import Dataset

SUFFIXES = (".safetensors", ".pt", ".pth", ".th")
MEASURED_COPIES = 9
"""Copies of the weights that a measurement holds: the network, a point, axes, and on the way."""
STEP = r"[0-9]{1,15}"
SNAPSHOT = "snapshot"
"""Kind of the artifacts that are weights kept on the way through a run."""


@dataclass(frozen=True)
class NetworkInfo:
    """One network that :func:`load_network` knows, for a list to choose from.

    Attributes:
        id: what to call it by.
        title: for people, of a run with its number; may hold their own words, to be escaped.
        label: the title with what tells it from all others, for a list.
        source: "run" or "model".
        optimizer: key in :data:`samar.optim.catalog.OPTIMIZERS`; empty for an imported network.
        created: seconds since 1970.
        active: whether the run still trains, so that its weights go on changing.
    """

    id: str
    title: str
    label: str
    source: str
    optimizer: str
    created: float
    active: bool


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network with its images.

    Attributes:
        title: for people.
        model: on the CPU, fp32, in train mode as built.
        facts: where it comes from, as plain values for a manifest.
    """

    title: str
    model: "nn.Module"
    dataset: "Dataset"
    facts: Mapping[str, str | int]

    def on_device(self) -> "Network":
        """The same where measurements run.

        Raises:
            ConfigError: not even one image at a time would fit there.
        """
        from samar.device.memory import require
        from samar.device.placement import measuring_device

        device = measuring_device()
        model, size = model_info(str(self.facts["model"])), self.dataset.test.size
        require(model.bytes_at(size, copies=MEASURED_COPIES, batch=1), device)
        moved = self.model.to(device), self.dataset.to(device)
        return Network(self.title, *moved, self.facts)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a forward pass of one image."""
        return model_info(str(self.facts["model"])).macs_at(self.dataset.test.size)


def networks(store: Store) -> list[NetworkInfo]:
    """Every run that has saved weights, and every imported network, newest first."""
    found = [
        NetworkInfo(m.id, m.title, f"{m.title} · {m.id}", "model", "", m.created, active=False)
        for m in imported_models()
        if m.weights.is_file()
    ]
    for run in store.all("train"):
        if weights_path(run.id).is_file() or resume_path(run.id).is_file():
            optimizer = getattr(run.settings, "optimizer", "")
            told = (run.id, run.label, run.long_label, "run", optimizer)
            found.append(NetworkInfo(*told, run.created, run.active))
    return sorted(found, key=lambda info: -info.created)


def pinned(store: Store, settings: NetworkSettings, what: str | None = None) -> dict[str, Any]:
    """What a job's settings refer to, fixed: which weights exactly, on which images.

    A run that still trains stands for its newest snapshot, where it kept one, since that file does
    not change any more.

    Args:
        what: another network than the first.

    Raises:
        SamarError: there is no such network, or its images are not on this machine.
    """
    what = settings.network if what is None else what
    found = _find(store, what, settings.model, settings.dataset, settings.normalize)
    if not is_file(found.path):
        missing = what if found.run is None else found.path
        raise CheckpointError(f"There is no file {missing}; check the path.")
    require_data(found.dataset)
    return {
        "network": found.name,
        "title": found.title,
        "dataset": found.dataset,
        "sha256": checksum(found.path),
        "images": stamp(found.dataset),
        **found.brought,
    }


@dataclass(frozen=True)
class _Found:
    """Where the weights of a network are, and what they belong to.

    ``brought`` is the normalization of an imported network's own images, where it is shown others.
    """

    name: str
    title: str
    path: Path
    model: str | None
    dataset: str
    normalize: str
    facts: Mapping[str, str | int]
    run: Job | None = None
    brought: Mapping[str, Any] = field(default_factory=dict)


def _find(
    store: Store, what: str, model: str | None, dataset: str | None, normalize: str
) -> _Found:
    """Which network? An imported network, a checkpoint, a run or a run at a step."""
    known = find_model(what)
    if known is not None:
        only_one(store, what, known)
        brought: dict[str, Any] = {}
        if normalize == "auto":
            normalize = known.normalize
            if normalize == "auto" and dataset and absolute(dataset) != known.dataset:
                brought = _own_normalization(known)
                normalize = brought.get("normalize", normalize)
        belongs = (known.model, dataset or known.dataset, normalize)
        facts = {"imported": known.id, "checkpoint": known.file, "sha256": known.sha256}
        return _Found(known.id, known.title, known.weights, *belongs, facts, brought=brought)
    if is_checkpoint(store, what):
        if dataset is None:
            raise ConfigError(
                f"{what} is a checkpoint; say which --model and --dataset it is for. The model "
                "may be left out where it can be recognized."
            )
        path = expanded(what)
        facts = {"checkpoint": path.name}
        return _Found(str(path), path.name, path, model, dataset, normalize, facts)
    if not what.strip():
        raise ConfigError("No network was chosen; give a run, an imported network or a checkpoint.")
    run, step, path = _moment(store, what)
    own = run.settings
    at_step: dict[str, str | int] = {"run": run.id, "step": run.done if step is None else step}
    name, title = run.id, run.label
    if step is not None:
        name, title = f"{name}@{step}", f"{title}, step {step}"
    return _Found(name, title, path, own.model, own.dataset, own.normalize, at_step, run)


def is_checkpoint(store: Store, what: str) -> bool:
    """Whether what no imported network is called means a file: by its ending, or as no run's name.

    A path written from / on is a file's, even where there is none any more.
    """
    path = Path(what)
    if path.suffix.lower() in SUFFIXES:
        return True
    if not path.is_absolute() and not is_file(expanded(what)):
        return False
    try:
        store.get(what.partition("@")[0], training_kinds())
    except RunError:
        return True
    return False


def _own_normalization(known: ImportedModel) -> dict[str, Any]:
    """That of the images with which a network was imported: by name, or as it was measured."""
    if preset := dataset_info(known.dataset).normalize:
        return {"normalize": preset}
    if not known.mean:
        raise ConfigError(
            f"The normalization of {known.title} was not measured when it was imported, since its "
            "images were not there; import its file again, or choose --normalize."
        )
    return {"mean": known.mean, "std": known.std}


def checksum(path: Path) -> str:
    """SHA-256 of a file, which a page asks for at every rerun; an OSError if it cannot be read."""
    return _checksum(path, path.stat().st_mtime_ns, path.stat().st_size)


@lru_cache(maxsize=10_000)
def _checksum(path: Path, _modified: int, _size: int) -> str:
    return digest_of(path, "sha256")


def _moment(store: Store, what: str) -> tuple[Job, int | None, Path]:
    """A run, the step that is meant where that is not its end, and the file with the weights."""
    name, at, moment = what.partition("@")
    run = store.get(name, training_kinds())
    if of_a_script(run.kind):
        raise RunError(
            f"{run.label} is a script's run, whose network only the script has; measure it there "
            "with samar.landscape, samar.hessian or samar.sharpness."
        )
    kept = store.records.artifacts(run.key, SNAPSHOT)
    if at:
        if not re.fullmatch(STEP, moment):
            raise RunError(f"{what!r} names no step; write RUN@STEP, such as {name}@120.")
        found = [each for each in kept if each.step == int(moment)]
        if not found:
            steps = ", ".join(str(each.step) for each in kept) or "none"
            raise RunError(
                f"Run {run.id} kept no weights at step {moment}; the steps that it kept: {steps}."
            )
        return run, int(moment), job_dir(run.id) / found[0].path
    there = [path for path in (weights_path(run.id), resume_path(run.id)) if path.is_file()]
    if kept and (run.active or not there):  # a race keeps the saved states of its members
        return run, kept[-1].step, job_dir(run.id) / kept[-1].path
    if there:
        return run, None, there[0]
    raise RunError(
        f"Run {run.id} has saved no weights yet; wait for its first saved state or its end."
    )


def belongs_to(store: Store, settings: NetworkSettings) -> tuple[str | None, DatasetInfo]:
    """What kind of network it is, None where only the weights tell, and the images it is shown.

    Raises:
        SamarError: there is no such network.
    """
    asked = (settings.network, settings.model, settings.dataset, settings.normalize)
    found = _find(store, *asked)
    return found.model, counted(found.dataset) if found.run is None else seen_in(found.run.settings)


def seen_in(settings: TrainSettings) -> DatasetInfo:
    """The images of a training run: as large, and as many to learn from, as it takes them."""
    data = counted(settings.dataset)
    train = data.train
    if settings.images_per_class is not None and data.classes is not None:
        train = data.at_most(settings.images_per_class * data.classes, "train")
    if train is not None:
        train -= round(train * settings.validation)
    return replace(data, size=data.size // (1 + settings.halved), train=train)


def pinned_one(store: Store, settings: NetworkSettings) -> Mapping[str, Any]:
    """The inputs of a job about one network: what its kind's ``prepare`` returns."""
    found = pinned(store, settings)
    return {"networks": [found], "title": found["title"]}


def load_pinned(work: Work, settings: NetworkSettings) -> "list[Network]":
    """The networks that a job's inputs pin, the first where measurements run.

    Of a run that has trained on since, its newest weights are taken, and of a folder its images as
    they are now. The job answers for those from now on, unless it has kept something that it
    measured of the others.

    Raises:
        SamarError: as :func:`load_network`, or a file is not the one that the job was asked about.
    """
    work.progress(0, doing="Loading network and images…")
    store, inputs = work.store, work.job.inputs
    pins, options = inputs["networks"], (settings.model, settings.dataset, settings.normalize)
    found = [_find(store, pin["network"], *options) for pin in pins]
    first, *others = map(_load, found)
    fixed, changed, read = list[str](), list[str](), []
    for pin, each in zip(pins, found, strict=True):
        try:  # not before it was read: what changes meanwhile has changed
            digest, images = checksum(each.path), stamp(each.dataset)
        except OSError:
            digest, images = "", ""
        if digest != pin["sha256"]:
            (fixed if each.run is None else changed).append(f"{each.title} has")
        if images != pin.get("images"):
            changed.append(f"The images of {each.title} have")
        known = {"network": each.name, "title": each.title}
        read.append({**pin, **known, "sha256": digest, "images": images})
    if told := [*fixed, *changed]:
        job, now = store.same(settings, inputs), {**inputs, "networks": read}
        if fixed or job is None or store.records.artifacts(job.key):
            raise CheckpointError(f"{told[0]} changed since it was asked for; ask again.")
        store.beat(job, inputs=json_line(now), fingerprint=fingerprint(settings, now))
    return [first.on_device(), *others]


def load_network(
    store: Store,
    what: str,
    *,
    model: str | None = None,
    dataset: str | None = None,
    normalize: str = "auto",
) -> Network:
    """Load a network with its images.

    Args:
        what: a run, a run at a step at which it kept its weights (``RUN@STEP``), an imported
            network, or the path of a file.
        model: of a checkpoint; recognized from its tensors if None.
        dataset: of a checkpoint; for an imported network, other images than those it came with.
        normalize: of a checkpoint, or with other images; "auto" leaves it to the data set or the
            imported network. A run knows all three.

    Raises:
        RunError, CheckpointError, ConfigError, DataError: one sentence with the remedy.
    """
    return _load(_find(store, what, model, dataset, normalize))


def _load(found: _Found) -> Network:
    from samar.data.load import load_dataset
    from samar.data.normalization import Normalization
    from samar.networks.checkpoint import (
        Checkpoint,
        load_resume_state,
        read_checkpoint,
        require_finite,
    )
    from samar.networks.importing import require_images
    from samar.networks.recognition import fit_to, made_for, network_of, recognize
    from samar.training.loop import dataset_of

    try:
        if found.run is not None and found.path.suffix == ".pt":
            state = load_resume_state(found.path)
            about = {"step": str(state["step"])}
            checkpoint = Checkpoint(state["model"], about)
            require_finite(checkpoint.tensors, found.path)
        else:
            checkpoint = read_checkpoint(found.path)
    except CheckpointError as error:
        told = str(error)
        if found.run is not None:  # whose folder nobody needs to know
            told = told.replace(shown(found.path), f"The weights file of {found.title}")
        raise CheckpointError(told) from None
    tensors = checkpoint.tensors
    fit = recognize(tensors) if found.model is None else fit_to(tensors, found.model)
    if found.model is None and fit.problem:
        raise CheckpointError(f"{found.title}: {fit.problem}")
    network, model = network_of(tensors, fit).train(), fit.model
    if found.run is not None:
        data = dataset_of(found.run.settings)
    else:
        data = load_dataset(found.dataset, normalize=found.normalize)
    classes, channels = made_for(tensors)
    require_images(data, classes=classes, channels=channels)
    # A run is shown its images as it learned them, whatever else its folder holds by now.
    own = found.brought if found.run is None else found.run.summary.get("about") or {}
    if len(own.get("mean", ())) == data.train.channels:  # older runs did not keep theirs
        data = replace(data, normalization=Normalization(tuple(own["mean"]), tuple(own["std"])))
    facts = {**found.facts, "model": model, "dataset": found.dataset, "normalize": found.normalize}
    step = checkpoint.metadata.get("step", "")
    if found.run is not None and re.fullmatch(STEP, step):  # the run may be further
        facts["step"] = int(step)
    return Network(found.title, network, data, facts)


def snapshots_before(store: Store, network: str) -> list[Artifact]:
    """The weights that a run kept before a moment of it, oldest first; none where it is no run.

    Args:
        network: a run, or a run at a step.
    """
    name, _, step = network.partition("@")
    try:
        run = store.get(name, "train")
    except RunError:
        return []
    end = int(step) if step else run.done
    return [kept for kept in store.records.artifacts(run.key, SNAPSHOT) if kept.step < end]


def path_of(store: Store, network: Network) -> list[tuple[str, Mapping[str, Any]]]:
    """The weights that a network's run kept before it, oldest first; none where it is no run."""
    from samar.networks.checkpoint import load_weights

    if "run" not in network.facts:
        return []
    run, step = network.facts["run"], network.facts["step"]
    return [
        (f"step {kept.step}", load_weights(job_dir(str(run)) / kept.path))
        for kept in snapshots_before(store, f"{run}@{step}")
    ]


def only_one(store: Store, what: str, model: ImportedModel) -> None:
    """A name that a run and a model share names neither."""
    if what == model.id:
        return
    try:
        run = store.get(what, "train")
    except RunError:
        return
    raise RunError(
        f"{what!r} fits the run {run.id} and the model {model.id}; give one of these ids."
    )
