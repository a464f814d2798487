"""Which registered network a file of weights belongs to, by the names and shapes of its tensors.

Every registered network is built without memory (on PyTorch's "meta" device) with the class count
and the input channels that are read off the file: classes are the rows of its last matrix, channels
the fewest inputs of a convolution. A file fits where it has the same tensors by name and shape,
after words that mean the same are made one (``fc`` and ``linear``, ``downsample`` and ``shortcut``)
and a prefix common to all is taken off.

BatchNorm's ``num_batches_tracked`` decides nothing and may be missing. Shapes cannot tell networks
apart that differ only in what has no parameters: an option A shortcut may pad its zeros elsewhere.
That is why accuracy is measured before a network is trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import takewhile

import torch
from torch import Tensor, nn

from samar.errors import CheckpointError, shown
from samar.models.build import build_model
from samar.models.catalog import MODELS, model_info
from samar.networks.checkpoint import require_finite
from samar.networks.inspection import Fit, Mismatch, Shape

Shapes = dict[str, Shape]
COUNTER = "num_batches_tracked"
# Words that the code of public checkpoints uses for the same part.
SYNONYMS = {
    "fc": "linear",
    "classifier": "linear",
    "head": "linear",
    "downsample": "shortcut",
    "convshortcut": "shortcut",
}


def recognize(tensors: Mapping[str, Tensor]) -> Fit:
    """Find the registered network that a checkpoint fits, or else the nearest.

    Raises:
        CheckpointError: the tensors are those of no image classifier: no convolution or no matrix.
    """
    best = min((fit_to(tensors, name) for name in MODELS), key=lambda fit: len(fit.mismatches))
    if best.fits:
        return best
    reason = (
        f"The file fits no network known here; the nearest is {MODELS[best.model].title}, where "
        f"{_differing(best.mismatches)}. Choose a network to see which."
    )
    return replace(best, reason=reason)


def fit_to(tensors: Mapping[str, Tensor], model: str) -> Fit:
    """Compare a checkpoint with one registered network.

    Raises:
        ConfigError: there is no such network.
        CheckpointError: the tensors are those of no image classifier.
    """
    title, expected = model_info(model).title, dict(_expected(model, *made_for(tensors)))
    shapes = _shapes(tensors)
    if expected == shapes:
        reason = f"Every tensor has the name and the shape that {title} gives it."
        return Fit(model, {name: name for name in expected}, (), reason)
    ours, theirs = _by_style(expected), _by_style(shapes)
    mismatches = []
    for style in dict.fromkeys([*ours, *theirs]):
        own, foreign = ours.get(style, ""), theirs.get(style, "")
        if expected.get(own) != shapes.get(foreign):
            mismatches.append(Mismatch(own or foreign, expected.get(own), shapes.get(foreign)))
    if not mismatches:
        reason = f"Some names are other words for the same parts of {title}."
        return Fit(model, {ours[style]: theirs[style] for style in ours}, (), reason)
    reason = (
        f"The file does not fit {title}: {_differing(mismatches)}, the first is "
        f"{shown(mismatches[0].name, 80)} ({mismatches[0].kind}); choose another network."
    )
    return Fit(model, {}, tuple(mismatches), reason)


def network_of(tensors: Mapping[str, Tensor], fit: Fit) -> nn.Module:
    """The network that a checkpoint fits, with its weights, in eval mode.

    Raises:
        CheckpointError: it does not fit, or a weight is not a finite number.
    """
    if not fit.fits:
        raise CheckpointError(fit.problem)
    require_finite(tensors, "The network")
    classes, channels = made_for(tensors)
    network = build_model(fit.model, classes=classes, channels=channels)
    weights = {name: tensors[foreign] for name, foreign in fit.names.items()}
    network.load_state_dict({**network.state_dict(), **weights})
    return network.eval()


def made_for(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """Classes and input channels of the network in a checkpoint.

    Raises:
        CheckpointError: the tensors are those of no image classifier.
    """
    shapes = _shapes(tensors).values()
    matrices = [shape for shape in shapes if len(shape) == 2]
    kernels = [shape for shape in shapes if len(shape) == 4]
    if not matrices or not kernels:
        raise CheckpointError(
            f"The file holds {len(shapes)} tensors but no "
            f"{'convolution' if matrices else 'linear layer'}, so it is no image classifier known "
            "here; give one with convolutions and a linear layer."
        )
    return max(2, matrices[-1][0]), max(1, min(shape[1] for shape in kernels))


def _shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    return {n: tuple(t.shape) for n, t in tensors.items() if not n.endswith(COUNTER)}


@lru_cache(maxsize=64)
def _expected(model: str, classes: int, channels: int) -> tuple[tuple[str, Shape], ...]:
    with torch.device("meta"):
        network = build_model(model, classes=classes, channels=channels)
    return tuple(_shapes(network.state_dict()).items())


def _differing(mismatches: Sequence[Mismatch]) -> str:
    count = len(mismatches)
    return f"{count} tensor{'s differ' if count > 1 else ' differs'}"


def _by_style(names: Shapes) -> dict[str, str]:
    """Names by their form without synonyms and without the modules that all tensors lie in."""
    words = {name: name.split(".") for name in names}
    levels = zip(*(parts[:-1] for parts in words.values()), strict=False)
    prefix = len(list(takewhile(lambda level: len(set(level)) == 1, levels)))
    styles = {
        ".".join(SYNONYMS.get(word.lower(), word.lower()) for word in parts[prefix:]): name
        for name, parts in words.items()
    }
    return styles if len(styles) == len(names) else {name: name for name in names}
