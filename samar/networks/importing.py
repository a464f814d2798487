"""From a file to an imported model: read, recognize, check the images, try, measure, keep."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from samar.data.catalog import DATASETS, dataset_info
from samar.data.dataset import Dataset
from samar.data.evaluation import evaluate
from samar.data.load import load_dataset
from samar.data.presence import is_present
from samar.data.sources.download import digest_of
from samar.device.placement import fitting_threads, measuring_device
from samar.errors import CheckpointError, ConfigError, shown
from samar.models.catalog import MODELS
from samar.networks.checkpoint import read_checkpoint, save_weights
from samar.networks.inspection import Inspection
from samar.networks.library import MAX_TITLE, ImportedModel, absolute, add_model
from samar.networks.normalization import IMAGES, candidates, try_normalizations
from samar.networks.recognition import fit_to, made_for, network_of, recognize

Told = Callable[[str, int, int], None]

# About ten seconds on one core.
QUICK_MACS = 4e11
FEWEST_IMAGES = 32
STATISTICS = re.compile(r"running_(mean|var)$|num_batches_tracked$")
"""Tensors of BatchNorm that are no parameters."""


def inspect_file(
    path: Path,
    *,
    model: str | None = None,
    dataset: str | None = None,
    normalize: str = "find",
    quick: bool = False,
    measure: bool = True,
    tell: Told = lambda words, done, total: None,
    on_recognized: Callable[[Inspection], Any] = lambda found: None,
) -> tuple[Inspection, nn.Module | None]:
    """Read a file, recognize its network, find the normalization and measure accuracy.

    Args:
        model: key in :data:`samar.models.catalog.MODELS`; recognized if None.
        dataset: images to measure on; those on this machine that fit if None.
        normalize: "find", "auto" for the data set's own, or a preset.
        quick: measure on as many evenly spaced test images as take about ten seconds, at least 32.
        measure: whether to measure at all.
        tell: called with what is being done, how much is done and how much there is.
        on_recognized: called with what is known before anything is measured.

    Returns:
        What was found, and the network on the CPU and in eval mode; None where the file fits none.

    Raises:
        SamarError: the file cannot be read or holds no image classifier, or the images are not
            there or do not fit.
    """
    tell("Reading the file", 0, 0)
    checkpoint = read_checkpoint(path)
    tensors = checkpoint.tensors
    classes, channels = made_for(tensors)
    found = Inspection(
        file=shown(path.name, MAX_TITLE),
        sha256=digest_of(path, "sha256"),
        size=path.stat().st_size,
        classes=classes,
        channels=channels,
        parameters=sum(t.numel() for name, t in tensors.items() if not STATISTICS.search(name)),
        fit=fit_to(tensors, model) if model else recognize(tensors),
        dataset=absolute(dataset or ""),
        normalize=normalize,
    )
    on_recognized(found)
    if found.problem:
        return found, None
    network = network_of(tensors, found.fit)
    if not measure:
        return found, network
    images = found.dataset or usual_dataset(classes, channels)
    if images is None:
        raise ConfigError(
            f"No images on this machine are of {classes} classes and {channels} "
            f"channel{'s' * (channels > 1)}, as the network needs; choose some, such as "
            "folder:PATH."
        )
    tell("Loading images", 0, 0)
    data = load_dataset(images)
    require_images(data, classes=classes, channels=channels)
    macs = MODELS[found.fit.model].macs_at(data.test.size)
    most = int(QUICK_MACS / macs) if quick else None
    with fitting_threads(macs * FEWEST_IMAGES):
        said = checkpoint.metadata.get("normalize", "")
        return _measured(network, data, found, most, said, tell), network


def _measured(
    network: nn.Module, data: Dataset, found: Inspection, most: int | None, said: str, tell: Told
) -> Inspection:
    """Find the normalization, unless it is given, and measure accuracy on test images.

    Args:
        most: measure on about so many images; on all if None.
        said: the normalization that the file names; it decides between equals.
    """
    device = measuring_device()
    network, data = network.to(device), data.to(device)
    presets, normalize, trials = candidates(data), found.normalize, found.trials
    if normalize == "find":
        few = IMAGES if most is None else max(FEWEST_IMAGES, min(IMAGES, most // len(presets)))
        trials = try_normalizations(
            network,
            data,
            images=few,
            said=said,
            progress=lambda done, total: tell("Trying normalizations", done, total),
        )
        normalize = trials[0].normalize
    known = {"auto": data.normalization, **presets}
    chosen = known.get(normalize) or type(data.normalization).preset(normalize, data.test.channels)
    images = data.test if most is None else data.test.evenly_spaced(max(FEWEST_IMAGES, most))
    result = evaluate(
        network,
        images,
        chosen,
        progress=lambda done, total: tell("Measuring accuracy", done, total),
    )
    network.cpu()
    measured = normalize == "auto" and dataset_info(data.name).normalize is None
    return replace(
        found,
        dataset=data.name,
        normalize=normalize,
        trials=trials,
        correct=result.correct,
        images=result.images,
        loss=result.loss,
        of=len(data.test),
        mean=chosen.mean if measured else (),
        std=chosen.std if measured else (),
    )


def import_file(
    path: Path,
    *,
    model: str | None = None,
    dataset: str | None = None,
    normalize: str = "find",
    title: str = "",
    measure: bool = True,
    tell: Told = lambda words, done, total: None,
) -> tuple[ImportedModel, Inspection]:
    """Inspect a file and keep its network in the library; see :func:`inspect_file`.

    Args:
        title: the one it has, or the file's name without its ending, where empty.

    Raises:
        SamarError: one sentence about what does not fit.
    """
    found, network = inspect_file(
        path, model=model, dataset=dataset, normalize=normalize, measure=measure, tell=tell
    )
    if network is None:
        raise CheckpointError(f"{found.file}: {found.problem}")
    return add_model(found, title, lambda file: save_inspected(network, found, file)), found


def save_inspected(network: nn.Module, found: Inspection, path: Path) -> None:
    """Write the weights of a network that was inspected, saying what they are, as safetensors."""
    about = {"model": found.fit.model, "dataset": found.dataset, "normalize": found.normalize}
    save_weights(network, path, about)


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
