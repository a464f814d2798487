"""Which registered network a file of weights belongs to, however its tensors are called.

Every registered network is built without memory (on PyTorch's "meta" device) with the class count
and the input channels that are read off the file: classes are the rows of its last matrix, channels
the second dimension of its first convolution. Then three ways are tried, the surest first:

* **names**: the same tensors by name and shape;
* **style**: the same after words that mean the same are made one (``fc`` and ``linear``,
  ``downsample`` and ``shortcut``) and a prefix common to all is taken off;
* **order**: the same sequence of shapes, with the same kind of tensor (weight, bias, running mean,
  running variance) at every place, in a file that keeps the order of the layers, as those of
  ``torch.save`` do: a ``state_dict`` lists tensors in the order in which the modules were made.

BatchNorm's ``num_batches_tracked`` decides nothing and may be missing. Shapes cannot tell networks
apart that differ only in what has no parameters: an option A shortcut may pad its zeros elsewhere.
That is why accuracy is measured before a network is trusted.
"""

import math
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn

from samar.errors import CheckpointError
from samar.models.build import build_model
from samar.models.catalog import MODELS, model_info
from samar.networks.reading import Checkpoint, require_finite
from samar.networks.shapes import (
    Fit,
    Recognition,
    Shape,
    Shapes,
    by_style,
    mismatches,
    other_words,
    sequence,
)

COUNTER = "num_batches_tracked"
WAYS = {
    "names": "Every tensor has the name and the shape that {title} gives it.",
    "style": "Other words in some names ({words}), and the same structure as {title}.",
    "order": "The names are foreign, but the file's {count} tensors have, in order, the shapes of "
    "{title}.",
}
UNORDERED = (
    "The shapes are those of {title}, but the names are foreign and a safetensors file does not "
    "keep the order of the layers; save the state_dict with torch.save and load that."
)


def recognize(checkpoint: Checkpoint) -> Recognition:
    """Find the registered networks that a checkpoint fits.

    A file that says itself what it is (those that runs here save do) is believed if that fits.

    Raises:
        CheckpointError: the tensors are those of no image classifier: no convolution or no matrix.
    """
    found = _shapes(checkpoint.tensors)
    classes, channels = _ends(found, checkpoint.ordered)
    fits = [_fit(name, found, checkpoint.ordered, classes, channels) for name in MODELS]
    sure = sorted((fit for fit in fits if fit.fits), key=lambda fit: list(WAYS).index(fit.way))
    # A file whose very names are a network's needs no second opinion from its shapes.
    sure = [fit for fit in sure if fit.way == sure[0].way]
    own = [fit for fit in sure if fit.model == checkpoint.metadata.get("model")]
    return Recognition(
        classes=classes,
        channels=channels,
        parameters=sum(math.prod(s) for name, s in found.items() if "running_" not in name),
        fits=tuple(own or sure),
        nearest=None if sure else min(fits, key=lambda fit: len(fit.mismatches)),
    )


def fit_to(checkpoint: Checkpoint, model: str) -> Fit:
    """Compare a checkpoint with one registered network.

    Raises:
        ConfigError: there is no such network.
        CheckpointError: the tensors are those of no image classifier.
    """
    model_info(model)
    found = _shapes(checkpoint.tensors)
    return _fit(model, found, checkpoint.ordered, *_ends(found, checkpoint.ordered))


def network_of(checkpoint: Checkpoint, fit: Fit) -> nn.Module:
    """The network that a checkpoint fits, with its weights, in eval mode.

    Raises:
        CheckpointError: it does not fit, or a weight is not a finite number.
    """
    if not fit.fits:
        raise CheckpointError(fit.problem)
    tensors = {own: checkpoint.tensors[foreign] for own, foreign in fit.names.items()}
    require_finite({fit.names[own]: tensor for own, tensor in tensors.items()}, "The network")
    classes, channels = made_for(checkpoint)
    network = build_model(fit.model, classes=classes, channels=channels)
    network.load_state_dict({**network.state_dict(), **tensors})
    return network.eval()


def made_for(checkpoint: Checkpoint) -> tuple[int, int]:
    """Classes and input channels of the network in a checkpoint.

    Raises:
        CheckpointError: the tensors are those of no image classifier.
    """
    return _ends(_shapes(checkpoint.tensors), checkpoint.ordered)


def _shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    return {n: tuple(t.shape) for n, t in tensors.items() if not n.endswith(COUNTER)}


def _ends(found: Shapes, ordered: bool) -> tuple[int, int]:
    """Classes and input channels."""
    matrices = [shape for shape in found.values() if len(shape) == 2]
    kernels = [shape for shape in found.values() if len(shape) == 4]
    if not matrices or not kernels:
        raise CheckpointError(
            f"The file holds {len(found)} tensors but no "
            f"{'convolution' if matrices else 'linear layer'}, so it is no image classifier known "
            "here; give one with convolutions and a linear layer."
        )
    channels = kernels[0][1] if ordered else min(shape[1] for shape in kernels)
    return max(2, matrices[-1][0]), max(1, channels)


def _fit(model: str, found: Shapes, ordered: bool, classes: int, channels: int) -> Fit:
    title = MODELS[model].title
    own = dict(_expected(model, classes, channels))
    if own == found:
        return Fit(model, "names", {n: n for n in own}, (), WAYS["names"].format(title=title))
    ours, theirs = by_style(own), by_style(found)
    if {key: own[n] for key, n in ours.items()} == {key: found[n] for key, n in theirs.items()}:
        names = {ours[key]: theirs[key] for key in ours}
        reason = WAYS["style"].format(title=title, words=other_words(names))
        return Fit(model, "style", names, (), reason)
    if ordered and sequence(own) == sequence(found):
        reason = WAYS["order"].format(title=title, count=len(own))
        return Fit(model, "order", dict(zip(own, found, strict=True)), (), reason)
    differing = mismatches(own, found, ordered=ordered)
    return Fit(model, "", {}, differing, "" if differing else UNORDERED.format(title=title))


@lru_cache(maxsize=64)
def _expected(model: str, classes: int, channels: int) -> tuple[tuple[str, Shape], ...]:
    with torch.device("meta"):
        network = build_model(model, classes=classes, channels=channels)
    return tuple(_shapes(network.state_dict()).items())
