"""What a job will take of memory, said before it starts; nothing here imports torch.

Counted in float32, beside what Python and PyTorch take themselves: copies of the weights, what a
forward pass keeps for the backward pass, the images, and a basis of Lanczos vectors. Figures of the
networks are in :mod:`samar.models.catalog`. ``tests/benchmarks/memory.py`` compares the forecast
with what processes really take.
"""

from collections.abc import Callable

from samar.connectivity.settings import ConnectivitySettings
from samar.curvature.catalog import (
    BASIS_BYTES,
    BATCH_SIZE,
    HESSIAN,
    KEPT_BYTES,
    MAX_PRODUCTS,
    REST,
)
from samar.curvature.settings import CurvatureSettings
from samar.data.catalog import DatasetInfo
from samar.data.presence import counted
from samar.device.catalog import BF16
from samar.jobs.store import Store
from samar.landscapes.settings import LandscapeSettings
from samar.models.catalog import ModelInfo, model_info
from samar.networks.load import belongs_to, seen_in
from samar.networks.settings import NetworkSettings
from samar.training.settings import TrainSettings

BYTES = 4
USUAL_IMAGES = 60_000
"""Where only the files can tell how many there are, and they are not there."""

EXTRA_COPIES = {"sgd": 0, "sam": 1, "vasso": 2, "samar": 2}
"""Of the weights, beside themselves, their gradient and the momentum."""

PLANE_COPIES = 9
"""Of the weights: origin, axes, point, network, folded network, and float64 on the way."""

PATH_COPIES = 14
"""Of the weights: both networks, bend, gradient, momentum, a point, and float64 on the way."""

MEASURED = 3
"""What a measurement during training holds for each image, in forward passes: graphs, basis and
copies of the weights."""

GRAPH = {"wide_resnet": 1.5, "pyramidnet": 1.2}
"""What a graph of a Hessian keeps, in forward passes, by the network's family: 1 elsewhere, where
every BatchNorm is folded."""

SANDWICH = 0.55
"""What a graph of Gauss–Newton or Fisher keeps of that."""

AROUND = 1.25
"""What kept graphs take with the gaps between them."""

AT_WORK = {True: 1.0, False: 0.45}
"""What a product holds besides, in graphs of a Hessian: of a Hessian, and of the others."""

CURVATURE_COPIES = 15
"""Of the weights, beside the basis: point, network, gradient, folded weights in float64."""

EVALUATED, CHUNK = 256, 512
"""Images a pass: of an evaluation, and of a landscape at most."""

FORWARD = 2.5
"""What a forward pass holds at a time, in numbers of its widest layer."""

SCRATCH = 20_000_000
"""Bytes that the libraries take for themselves when they first compute."""

KERNELS = 90_000_000
"""The same where gradients are taken of many shapes: of curvature and of a bend's training."""

SAMPLE_COPIES = 4
"""Of images that are measured on: as they are, in float64, and as numbers."""

BEND = 1.5
"""What a step of a bend's training holds, in passes of the network."""


def training_bytes(settings: TrainSettings) -> int:
    """Of a training run with its measurements."""
    info = model_info(settings.model)
    data = seen_in(settings)
    size = data.size
    copies = 2 + (settings.momentum > 0) + EXTRA_COPIES[settings.optimizer]
    batch = data.at_most(settings.batch_size, "train")
    number = BYTES // 2 if settings.precision == BF16 else BYTES
    pass_ = number * batch * (info.saved_at(size) + 2 * info.widest_at(size))
    measured = 0
    if settings.curvature_every:
        one = BYTES * MEASURED * info.saved_at(size)
        measured = min(KEPT_BYTES, 128 * one) + BATCH_SIZE[False] * one
    held = images_of(settings.dataset) + SCRATCH + BYTES * copies * info.parameters
    return held + max(pass_, measured)


def evaluation_bytes(model: str, data: DatasetInfo) -> int:
    """Of measuring loss and accuracy."""
    info = model_info(model)
    passed = _forward(info, data.size, EVALUATED)
    return images_of(data.name) + SCRATCH + BYTES * info.parameters + passed


def landscape_bytes(settings: LandscapeSettings, model: str, data: DatasetInfo) -> int:
    """Of a line or a plane, however many points there are."""
    info, images = model_info(model), data.at_most(settings.images, settings.split)
    sample = 2 * images * data.channels * data.size**2
    found = images_of(data.name) + SCRATCH + BYTES * (PLANE_COPIES * info.parameters + sample)
    found += _forward(info, data.size, min(CHUNK, images))
    if settings.directions == "hessian":
        found += _lanczos(info, data.size, images, settings.dim, MAX_PRODUCTS)
    return found


def connectivity_bytes(settings: ConnectivitySettings, model: str, data: DatasetInfo) -> int:
    """Of paths between two networks: as a landscape, and the training of a bend."""
    info = model_info(model)
    images = max(data.at_most(settings.images, split) for split in ("train", "test"))
    sample = 2 * SAMPLE_COPIES * images * data.channels * data.size**2
    held = images_of(data.name) + KERNELS + BYTES * (PATH_COPIES * info.parameters + sample)
    passed = _forward(info, data.size, min(CHUNK, images))
    if settings.curve == "line":
        return held + passed
    saved = info.saved_at(data.size) + 2 * info.widest_at(data.size)
    return held + max(passed, round(BEND * BYTES * settings.batch_size * saved))


def curvature_bytes(settings: CurvatureSettings, model: str, data: DatasetInfo) -> int:
    """Of eigenvalues and what else is measured with the same products."""
    info, images = model_info(model), data.at_most(settings.images, settings.split)
    most = settings.max_products
    if settings.density:
        most = max(most, 80)
    if settings.engine == "pyhessian":  # which keeps its eigenvectors alone
        most = settings.top
    found = _lanczos(
        info, data.size, images, settings.top, most, settings.matrix in (HESSIAN, REST)
    )
    pixels = data.channels * data.size**2
    found += BYTES * pixels * (SAMPLE_COPIES * images + 2 * settings.held_out)
    if settings.trace or settings.layers:
        found += 2 * BYTES * info.parameters * settings.trace_products
    return images_of(data.name) + found


def of_stored(
    store: Store, settings: NetworkSettings, needed: Callable[[str, DatasetInfo], int]
) -> int | None:
    """What a measurement of a stored network takes; None where only its weights tell what it is.

    Args:
        needed: bytes for a model on images.
    """
    model, data = belongs_to(store, settings)
    return None if model is None else needed(model, data)


def _forward(info: ModelInfo, size: int, images: int) -> int:
    return round(FORWARD * BYTES * images * info.widest_at(size))


def _lanczos(
    info: ModelInfo, size: int, images: int, top: int, most: int, hessian: bool = True
) -> int:
    """The basis, what is at hand beside it, and the graphs."""
    vector = BYTES * info.parameters
    basis = min(most, max(3 * top + 10, BASIS_BYTES // vector)) + 1
    return KERNELS + (basis + CURVATURE_COPIES) * vector + _graphs(info, size, images, hessian)


def _graphs(info: ModelInfo, size: int, images: int, hessian: bool = True) -> int:
    """Those that are kept, and what a product of one batch holds besides."""
    one = BYTES * GRAPH.get(info.family, 1.0) * info.saved_at(size)
    kept = AROUND * min(KEPT_BYTES, images * one * (1.0 if hessian else SANDWICH))
    return round(kept + AT_WORK[hessian] * min(BATCH_SIZE[False], images) * one)


def images_of(dataset: str) -> int:
    """Of a data set as bytes, whole as it is loaded."""
    data = counted(dataset)
    count = (data.train or USUAL_IMAGES) + (data.test or 0)
    return count * data.channels * data.size**2
