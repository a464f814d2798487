"""From a file to an imported model: read, recognize, check the images, try, measure, keep."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from samar.data.dataset import Dataset
from samar.data.evaluation import Evaluation
from samar.data.load import load_dataset
from samar.data.presence import is_present
from samar.device import Placement
from samar.errors import ConfigError
from samar.networks.checkpoint import save_weights
from samar.networks.examine import Examined, absolute, examine, require_images, usual_dataset
from samar.networks.library import ImportedModel, add_model
from samar.networks.normalization import IMAGES, Trial, candidates, measure, try_normalizations
from samar.networks.public import PublicCheckpoint, fetch
from samar.networks.recognition import Fit, network_of

Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Result:
    """What a network does on a data set's images.

    Attributes:
        normalize: what was chosen or found.
        trials: what was tried, the chosen one first; empty where the normalization was given.
        evaluation: on the test images.
        of: how many test images there are; ``evaluation.images`` of them were measured.
    """

    normalize: str
    trials: tuple[Trial, ...]
    evaluation: Evaluation
    of: int


def try_on(
    network: nn.Module,
    data: Dataset,
    *,
    normalize: str = "find",
    images: int | None = None,
    trial_images: int = IMAGES,
    tell: Told | None = None,
) -> Result:
    """Find the normalization, unless it is given, and measure accuracy on the test images.

    Args:
        network: in eval mode.
        data: loaded with ``normalize="auto"``.
        normalize: "find", "auto" for the data set's own, or a preset.
        images: measure on at most so many evenly spaced test images.
        trial_images: try normalizations on at most so many.
        tell: called with what is being done, how much is done and how much there is.

    Raises:
        ConfigError: there is no such normalization.
    """
    tell = tell or (lambda words, done, total: None)
    device = Placement.choose("auto", "fp32", 0).device
    network, data = network.to(device), data.to(device)
    trials: tuple[Trial, ...] = ()
    if normalize == "find":
        trials = try_normalizations(
            network,
            data,
            images=min(IMAGES, trial_images),
            progress=lambda done, total: tell("Trying normalizations", done, total),
        )
        normalize = trials[0].normalize
    known = {"auto": data.normalization, **candidates(data)}
    chosen = known.get(normalize) or type(data.normalization).preset(normalize, data.test.channels)
    sample = data.test if images is None else data.test.evenly_spaced(images)
    evaluation = measure(
        network,
        sample,
        chosen,
        progress=lambda done, total: tell("Measuring accuracy", done, total),
    )
    return Result(normalize, trials, evaluation, len(data.test))


def keep(
    examined: Examined,
    fit: Fit,
    *,
    dataset: str,
    normalize: str,
    title: str = "",
    evaluation: Evaluation | None = None,
) -> ImportedModel:
    """Put a model into the library.

    Args:
        dataset: name of the images it is used with.
        normalize: "auto" or a preset.
        title: the file's name without its ending where empty.
        evaluation: on the test images, where they were measured.

    Raises:
        CheckpointError: the file does not fit the network, or cannot be written.
    """
    network = network_of(examined.checkpoint, fit)
    found = examined.recognition
    model = ImportedModel(
        id="",
        title=title or Path(examined.file).stem,
        model=fit.model,
        classes=found.classes,
        channels=found.channels,
        normalize=normalize,
        dataset=absolute(dataset),
        file=examined.file,
        sha256=examined.sha256,
        size=examined.size,
        created=0.0,
        reason=fit.reason,
    )
    if evaluation is not None:
        model = replace(
            model,
            correct=evaluation.correct,
            images=evaluation.images,
            loss=evaluation.loss,
        )
    about = {"model": fit.model, "dataset": model.dataset, "normalize": normalize}
    return add_model(model, lambda path: save_weights(network, path, about))


def import_file(
    path: Path,
    *,
    dataset: str | None = None,
    model: str | None = None,
    normalize: str = "find",
    title: str = "",
    tell: Told | None = None,
) -> tuple[ImportedModel, Result]:
    """All of it at once: what ``python -m samar import`` does.

    Args:
        dataset: images to measure on; the one on this machine that fits if None.
        model: key in :data:`samar.models.MODELS`; recognized if None.
        normalize: "find", "auto" for the data set's own, or a preset.
        title: the file's name without its ending where empty.
        tell: called with what is being done, how much is done and how much there is.

    Raises:
        SamarError: one sentence about what does not fit.
    """
    examined = examine(path)
    fit = examined.fit(model)
    network = network_of(examined.checkpoint, fit)
    found = examined.recognition
    dataset = dataset or usual_dataset(found.classes, found.channels)
    if dataset is None:
        raise ConfigError(
            f"{examined.file} is made for {found.classes} classes and {found.channels} channels; "
            "say with --dataset which images to measure it on, such as folder:PATH."
        )
    data = load_dataset(dataset)
    require_images(data, classes=found.classes, channels=found.channels)
    result = try_on(network, data, normalize=normalize, tell=tell)
    kept = keep(
        examined,
        fit,
        dataset=dataset,
        normalize=result.normalize,
        title=title,
        evaluation=result.evaluation,
    )
    return kept, result


def import_public(
    entry: PublicCheckpoint, *, dataset: str | None = None, tell: Told | None = None
) -> ImportedModel:
    """Fetch a public checkpoint and keep it, measured if its images are on this machine.

    Args:
        dataset: images to measure on; the ones it was trained on if None.

    Raises:
        SamarError: no network, other bytes than expected, or images that do not fit.
    """
    tell = tell or (lambda words, done, total: None)
    wanted = dataset or entry.dataset
    examined = examine(fetch(entry, lambda done, total: tell("Downloading", done, total)))
    fit = examined.fit(entry.model)
    evaluation = None
    if is_present(wanted):
        data, found = load_dataset(wanted), examined.recognition
        require_images(data, classes=found.classes, channels=found.channels)
        network = network_of(examined.checkpoint, fit)
        evaluation = try_on(network, data, normalize=entry.normalize, tell=tell).evaluation
    return keep(
        examined,
        fit,
        dataset=wanted,
        normalize=entry.normalize,
        title=entry.name,
        evaluation=evaluation,
    )
