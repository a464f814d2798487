"""Inspection: which network a file of weights holds, and how well it does on a data set's images.

What it finds is kept as JSON, first when the network is recognized and again when its accuracy is
measured, and beside it the network's weights, so that a face can keep them in the library.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from samar.data.catalog import DATASETS, NORMALIZATIONS
from samar.data.presence import require_data, stamp
from samar.errors import CheckpointError, SamarError, shown
from samar.jobs.job import Job, job_dir
from samar.jobs.kind import Kind
from samar.jobs.store import Store
from samar.jobs.work import Work
from samar.models.catalog import MODELS
from samar.networks.inspection import Inspection
from samar.networks.library import ImportedModel, absolute, add_model
from samar.networks.load import checksum
from samar.settings.declare import setting, titles
from samar.settings.job import MOST_CHARACTERS, JobSettings
from samar.settings.paths import expanded, is_file

FOUND, WEIGHTS = "inspection", "weights"
"""Kinds of the artifacts: what was found, and the network's weights."""
FOUND_FILE, WEIGHTS_FILE = "inspection.json", "weights.safetensors"
AUTO = "auto"


class InspectSettings(JobSettings):
    """Which file, and what to measure its network on."""

    kind: ClassVar[str] = "inspect"
    verb: ClassVar[str] = "import"

    file: str = setting(
        "",
        "A checkpoint (.safetensors, .pt, .pth, .th), up to 2 GB. One that holds code is "
        "refused and never run.",
        group="network",
        positional=True,
    )
    model: str = setting(
        AUTO,
        "Its architecture; recognized by its tensors if left out.",
        group="network",
        choices=titles({AUTO: "recognized by its tensors"} | MODELS),
    )
    dataset: str = setting(
        AUTO,
        "The images to measure on: digits, cifar10, cifar100 or folder:PATH, which holds "
        "test/CLASS/images and train/CLASS/images; those on this machine that fit if left out.",
        group="network",
        label="images to measure on",
        choices=titles({AUTO: "those that fit"} | DATASETS),
        open_ended=True,
    )
    normalize: str = setting(
        "find",
        "How pixel values were scaled when the network was trained; found by trying if left out.",
        group="network",
        label="normalization",
        choices=titles({"find": "find by trying", AUTO: "the data set's own"} | NORMALIZATIONS),
    )
    quick: bool = setting(
        False,
        "Measure on as many test images as take about ten seconds, not on all.",
        group="network",
        label="fewer images",
    )

    @property
    def described(self) -> str:
        """The file."""
        return f"inspection of {shown(Path(self.file).name, MOST_CHARACTERS)}"


def prepare(_: Store, settings: InspectSettings) -> Mapping[str, Any]:
    """Find the file, and make sure that the images are on this machine."""
    path = expanded(settings.file)
    if not is_file(path):
        raise CheckpointError(f"There is no checkpoint file at {settings.file}; check the path.")
    dataset = "" if settings.dataset == AUTO else absolute(settings.dataset)
    if dataset:
        require_data(dataset)
    try:
        found = {
            "network": str(path),
            "title": shown(path.name, MOST_CHARACTERS),
            "sha256": checksum(path),
        }
    except OSError as error:
        raise CheckpointError(f"{settings.file} cannot be read ({error.strerror}).") from None
    found |= {"dataset": dataset, "images": stamp(dataset)}
    return {"networks": [found], "title": shown(path.name, MOST_CHARACTERS)}


def work(settings: InspectSettings, work: Work) -> None:
    """Inspect the file."""
    from samar.networks.importing import inspect_file, save_inspected

    pinned = work.job.inputs["networks"][0]
    path = Path(pinned["network"])

    def keep(found: Inspection) -> None:
        if found.sha256 != pinned["sha256"]:
            raise CheckpointError("The file has changed since it was asked for; inspect it anew.")
        keep_found(work, found)

    try:
        found, network = inspect_file(
            path,
            model=None if settings.model == AUTO else settings.model,
            dataset=pinned["dataset"] or None,
            normalize=settings.normalize,
            quick=settings.quick,
            tell=telling(work),
            on_recognized=keep,
        )
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(shown(path), "The file")) from None
    if network is not None:
        work.keep(WEIGHTS, lambda part: save_inspected(network, found, part), WEIGHTS_FILE)
    keep_found(work, found)


def telling(work: Work) -> Callable[[str, int, int], None]:
    """What the science calls to say how far it is; a job that was told to stop ends there."""

    def tell(words: str, done: int, total: int) -> None:
        work.progress(done, total, words)
        work.check()

    return tell


def keep_found(work: Work, found: Inspection) -> None:
    """Leave what is known by now."""
    work.keep(FOUND, found.as_json(), FOUND_FILE)
    numbers = ("normalize", "accuracy", "correct", "images", "loss")
    work.summarize(
        model=found.fit.model if found.fit.fits else None,
        problem=found.problem,
        **{name: getattr(found, name) for name in numbers},
    )


def inspection_of(job: Job) -> Inspection | None:
    """What a job has found by now; None before it recognized the network."""
    try:
        return Inspection.load(job_dir(job.id) / FOUND_FILE)
    except (OSError, ValueError, SamarError):
        return None


def keep_model(job: Job, title: str = "") -> ImportedModel:
    """Put the network of a finished inspection into the library.

    Args:
        title: the one it has, or the file's name without its ending, where empty.

    Raises:
        CheckpointError: the file fits no network, or the model cannot be written.
    """
    found = inspection_of(job)
    if found is None or found.problem:
        reason = found.problem if found is not None else "its inspection is gone; inspect it anew."
        raise CheckpointError(f"{job.inputs['title']}: {reason}")
    weights = job_dir(job.id) / WEIGHTS_FILE
    return add_model(found, title, lambda path: shutil.copyfile(weights, path))


KIND = Kind(
    "inspect",
    "Inspection",
    "Recognizes the network in a checkpoint, finds its normalization and measures its accuracy.",
    InspectSettings,
    work,
    prepare=prepare,
    reused=True,
)
