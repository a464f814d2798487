"""Which normalization a network was trained with, found by trying.

Every preset is tried on a few hundred images. Wrong ones cost accuracy, but neighbours (ImageNet's
and CIFAR-10's) often less than the sampling error of a few hundred images. So the presets whose
accuracy is within two standard errors of the best one's, taken image by image, count as tied, and
the network's first BatchNorm decides between them: its running mean m and variance v were collected
while the network learned, and are compared with the mean μ and variance s of the same channels
under the preset, as the Kullback-Leibler divergence of two normal distributions in nats,

    D = ½ (s / v + (μ − m)² / v − 1 − ln(s / v)),        averaged over the channels.

CIFAR networks are usually trained on images shifted by up to an eighth with a black border, which
moves μ and s by more than the presets differ. D is therefore taken of the images as they are and of
images shifted so, and the smaller counts. This is our own procedure, from no paper.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samar.data.catalog import DATASETS, NORMALIZATIONS, dataset_info
from samar.data.dataset import Dataset, ImageSet
from samar.data.normalization import Normalization
from samar.device.placement import layout_of
from samar.device.precision import full_precision
from samar.device.waiting import on_host
from samar.networks.inspection import Trial

IMAGES = 200
BATCH = 128
TIED_STANDARD_ERRORS = 2.0
GREY = {name for name, info in DATASETS.items() if info.channels == 1}
Progress = Callable[[int, int], None]


def candidates(data: Dataset) -> dict[str, Normalization]:
    """What to try: the presets, and the data set's own where that is measured and no preset.

    A preset of one grey value that belongs to a grey data set is not tried on colour.
    """
    channels = data.test.channels
    names = [name for name in NORMALIZATIONS if channels == 1 or name not in GREY]
    found = {name: Normalization.preset(name, channels) for name in names}
    return found | (
        {"auto": data.normalization} if dataset_info(data.name).normalize is None else {}
    )


def try_normalizations(
    network: nn.Module,
    data: Dataset,
    *,
    images: int = IMAGES,
    said: str = "",
    progress: Progress | None = None,
) -> tuple[Trial, ...]:
    """Try every preset on evenly spaced test images.

    Args:
        network: in eval mode.
        data: loaded with ``normalize="auto"``.
        images: how many.
        said: the one that the file of weights names; it is chosen where it is among the best.
        progress: called with presets tried and presets in all.

    Returns:
        The chosen one first, then the others by falling accuracy.
    """
    layout = layout_of(data.test.images.device)
    network.to(memory_format=layout)  # type: ignore[call-overload]
    sample, presets = data.test.evenly_spaced(images), candidates(data)
    hits: dict[str, Tensor] = {}
    for count, (name, normalization) in enumerate(presets.items()):
        if progress is not None:
            progress(count, len(presets))
        hits[name] = _hits(network, sample, normalization)
    best = max(hits.values(), key=lambda hit: int(hit.sum()))
    trials = [
        Trial(
            normalize=name,
            correct=int(hits[name].sum()),
            images=len(sample),
            distance=batchnorm_distance(network, sample.images, normalization),
            tied=_tied(best, hits[name]),
        )
        for name, normalization in presets.items()
    ]
    trials.sort(key=lambda trial: -trial.correct)
    if said == "auto":
        said = dataset_info(data.name).normalize or said
    chosen = min(
        (trial for trial in trials if trial.tied),
        key=lambda trial: (trial.normalize != said, trial.distance or 0.0, -trial.correct),
    )
    return (chosen, *(trial for trial in trials if trial is not chosen))


def batchnorm_distance(
    network: nn.Module, images: Tensor, normalization: Normalization
) -> float | None:
    """How far the first BatchNorm's running statistics are from those of these images, D in nats.

    Args:
        images: uint8 (n, c, size, size).

    Returns:
        The smaller D of the images as they are and shifted with a black border; None without a
        BatchNorm that has running statistics.
    """
    found = [_distance(network, normalization(seen)) for seen in (images, _shifted(images))]
    known = [distance for distance in found if distance is not None]
    return min(known) if known else None


class _SeenError(Exception):
    """The first BatchNorm was reached; nothing behind it matters."""


@torch.no_grad()
@full_precision()
def _distance(network: nn.Module, x: Tensor) -> float | None:
    seen: list[tuple[nn.BatchNorm2d, Tensor]] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        seen.append((module, inputs[0]))
        raise _SeenError

    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        network(x)
    except _SeenError:
        pass
    finally:
        for handle in handles:
            handle.remove()
    if not seen or not seen[0][0].track_running_stats:
        return None
    layer, z = seen[0]
    statistics = layer.state_dict()
    learned_mean, learned = (
        on_host(statistics[f"running_{name}"]).double() for name in ("mean", "var")
    )
    z = on_host(z).double()
    mean, variance = z.mean((0, 2, 3)), z.var((0, 2, 3))
    share = (variance + layer.eps) / (learned + layer.eps)
    moved = (mean - learned_mean).square() / (learned + layer.eps)
    divergence = (share + moved - 1 - share.log()) / 2
    return float(divergence.mean())


def _shifted(images: Tensor) -> Tensor:
    """Every image moved by up to an eighth of its size, black where nothing is left."""
    size = images.shape[-1]
    border = max(1, size // 8)
    padded = F.pad(images, (border,) * 4)
    steps = torch.arange(len(images))
    # A fixed pattern that visits every shift: the same answer every time.
    rows, columns = steps % (2 * border + 1), steps // (2 * border + 1) % (2 * border + 1)
    moved = [
        image[:, row : row + size, column : column + size]
        for image, row, column in zip(padded, rows.tolist(), columns.tolist(), strict=True)
    ]
    return torch.stack(moved)


@torch.no_grad()
@full_precision()
def _hits(network: nn.Module, images: ImageSet, normalization: Normalization) -> Tensor:
    layout = layout_of(images.images.device)
    batches = (normalization(x, memory_format=layout) for x in images.images.split(BATCH))
    return on_host(torch.cat([network(x).argmax(1) for x in batches]) == images.labels)


def _tied(best: Tensor, other: Tensor) -> bool:
    lead = best.double() - other.double()
    error = lead.std(correction=0) / len(lead) ** 0.5
    return bool(lead.mean() <= TIED_STANDARD_ERRORS * error)
