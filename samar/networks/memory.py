"""What a job will take of memory, said before it starts; nothing here imports torch.

Counted in float32, beside what Python and PyTorch take themselves: copies of the weights, what a
forward pass keeps for the backward pass, the images, and a basis of Lanczos vectors. Figures of the
networks are in :mod:`samar.models.catalog`. ``tests/benchmarks/memory.py`` compares the forecast
with what processes really take.
"""

from collections.abc import Callable

from samar.connectivity.settings import ConnectivitySettings
from samar.curvature.catalog import BASIS_BYTES, BATCH_SIZE, KEPT_BYTES, MAX_PRODUCTS
from samar.curvature.settings import CurvatureSettings
from samar.data.catalog import dataset_info
from samar.device.catalog import BF16
from samar.jobs.store import Store
from samar.landscapes.settings import LandscapeSettings
from samar.models.catalog import ModelInfo, model_info
from samar.networks.load import belongs_to
from samar.networks.settings import NetworkSettings
from samar.training.settings import TrainSettings

BYTES = 4
USUAL_IMAGES = 60_000
"""Where only the files can tell how many there are."""

EXTRA_COPIES = {"sgd": 0, "sam": 1, "vasso": 2, "samar": 2}
"""Of the weights, beside themselves, their gradient and the momentum."""

PLANE_COPIES = 9
"""Of the weights: origin, axes, point, network, folded network, and float64 on the way."""

PATH_COPIES = 14
"""Of the weights: both networks, bend, gradient, momentum, a point, and float64 on the way."""

SECOND_DERIVATIVE = 3
"""What a graph that is differentiated twice keeps, in forward passes."""

EVALUATED, CHUNK = 256, 512
"""Images a pass: of an evaluation, and of a landscape at most."""

FORWARD = 2.5
"""What a forward pass holds at a time, in numbers of its widest layer."""

IMAGE_LOSS = 16
"""Bytes of the loss of an image at a point, where points differ in their images, and its answer."""

SCRATCH = 20_000_000
"""Bytes that the libraries take for themselves when they first compute."""


def training_bytes(settings: TrainSettings) -> int:
    """Of a training run with its measurements."""
    info = model_info(settings.model)
    size = dataset_info(settings.dataset).size
    copies = 2 + (settings.momentum > 0) + EXTRA_COPIES[settings.optimizer]
    batch = min(settings.batch_size, _training_images(settings))
    number = BYTES // 2 if settings.precision == BF16 else BYTES
    pass_ = number * batch * (info.saved_at(size) + 2 * info.widest_at(size))
    measured = 0
    if settings.curvature_every:
        measured = _graphs(info, size, 128)
    held = images_of(settings.dataset) + SCRATCH + BYTES * copies * info.parameters
    return held + max(pass_, measured)


def evaluation_bytes(model: str, dataset: str) -> int:
    """Of measuring loss and accuracy."""
    info, size = model_info(model), dataset_info(dataset).size
    return images_of(dataset) + SCRATCH + BYTES * info.parameters + _forward(info, size, EVALUATED)


def landscape_bytes(settings: LandscapeSettings, model: str, dataset: str) -> int:
    """Of a line, a plane or samples of more directions, however many points there are."""
    info, data = model_info(model), dataset_info(dataset)
    sample = 2 * settings.images * data.channels * data.size**2
    copies = PLANE_COPIES + max(settings.dim - 2, 0)
    found = images_of(dataset) + SCRATCH + BYTES * (copies * info.parameters + sample)
    found += _forward(info, data.size, min(CHUNK, settings.images))
    if settings.fewest_images is not None:
        found += IMAGE_LOSS * settings.images * settings.points**2
    if settings.directions == "hessian":
        found += _lanczos(info, data.size, settings.images, settings.dim, MAX_PRODUCTS)
    return found


def connectivity_bytes(settings: ConnectivitySettings, model: str, dataset: str) -> int:
    """Of paths between two networks: as a landscape, and the training of a bend."""
    info, data = model_info(model), dataset_info(dataset)
    sample = 3 * settings.images * data.channels * data.size**2
    held = images_of(dataset) + SCRATCH + BYTES * (PATH_COPIES * info.parameters + sample)
    passed = _forward(info, data.size, min(CHUNK, settings.images))
    if settings.curve == "line":
        return held + passed
    saved = info.saved_at(data.size) + 2 * info.widest_at(data.size)
    return held + max(passed, BYTES * settings.batch_size * saved)


def curvature_bytes(settings: CurvatureSettings, model: str, dataset: str) -> int:
    """Of eigenvalues and what else is measured with the same products."""
    info, size = model_info(model), dataset_info(dataset).size
    most = settings.max_products
    if settings.density:
        most = max(most, 80)
    if settings.engine == "pyhessian":  # which keeps its eigenvectors alone
        most = settings.top
    found = _lanczos(info, size, settings.images, settings.top, most)
    if settings.trace or settings.layers:
        found += 2 * BYTES * info.parameters * settings.trace_products
    return images_of(dataset) + found


def of_stored(
    store: Store, settings: NetworkSettings, needed: Callable[[str, str], int]
) -> int | None:
    """What a measurement of a stored network takes; None where only its weights tell what it is.

    Args:
        needed: bytes for a model on a data set.
    """
    model, dataset = belongs_to(store, settings)
    return None if model is None else needed(model, dataset)


def _forward(info: ModelInfo, size: int, images: int) -> int:
    return round(FORWARD * BYTES * images * info.widest_at(size))


def _lanczos(info: ModelInfo, size: int, images: int, top: int, most: int) -> int:
    """The basis, what is at hand beside it, and the graphs."""
    vector = BYTES * info.parameters
    basis = min(most, max(3 * top + 10, BASIS_BYTES // vector)) + 1
    return (basis + 8) * vector + _graphs(info, size, images)


def _graphs(info: ModelInfo, size: int, images: int) -> int:
    """Those that are kept, and one more."""
    one = BYTES * SECOND_DERIVATIVE * info.saved_at(size)
    return min(KEPT_BYTES, images * one) + min(BATCH_SIZE[False], images) * one


def _training_images(settings: TrainSettings) -> int:
    data = dataset_info(settings.dataset)
    whole = data.train or USUAL_IMAGES
    if settings.images_per_class is None or data.classes is None:
        return whole
    return min(whole, settings.images_per_class * data.classes)


def images_of(dataset: str) -> int:
    """Of a data set as bytes."""
    data = dataset_info(dataset)
    count = (data.train or USUAL_IMAGES) + (data.test or 0)
    return count * data.channels * data.size**2
