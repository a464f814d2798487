"""From a catalogue name to a network."""

import importlib
from typing import Any

from torch import nn

from samar.errors import ConfigError, told_if_missing
from samar.models.catalog import model_info

# Constructor in the family's file, and its arguments; a family is imported when it is asked for,
# because torchvision alone takes a second.
CONSTRUCTORS: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn": ("SmallCNN", {}),
    **{f"resnet{depth}": ("ResNetCifar", {"depth": depth}) for depth in (20, 32, 44, 56, 110)},
    **{
        f"resnet{depth}-conv": ("ResNetCifar", {"depth": depth, "convolutional_shortcuts": True})
        for depth in (20, 32, 44, 56, 110)
    },
    **{f"resnet{depth}": ("resnet_with_small_stem", {"depth": depth}) for depth in (18, 34, 50)},
    **{f"vgg{depth}-bn": ("VGG", {"depth": depth}) for depth in (11, 16)},
    "wrn-16-4": ("WideResNet", {"depth": 16, "width": 4}),
    "wrn-28-10": ("WideResNet", {"depth": 28, "width": 10}),
    "pyramidnet-110": ("PyramidNet", {"depth": 110, "alpha": 270}),
}


def build_model(name: str, *, classes: int = 10, channels: int = 3) -> nn.Module:
    """Build a network with fresh weights drawn from torch's global generator.

    Args:
        name: a key of :data:`samar.models.catalog.MODELS`.
        classes: number of logits.
        channels: channels of the input images.

    Returns:
        A module that maps float images (n, channels, height, width) to logits (n, classes).

    Raises:
        ConfigError: unknown name, fewer than two classes, or no channel.

    Example:
        >>> import torch
        >>> network = build_model("cnn", channels=1)
        >>> network(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """
    family = model_info(name).family
    if classes < 2:
        raise ConfigError(f"A classifier needs at least 2 classes, but the data have {classes}.")
    if channels < 1:
        raise ConfigError(f"Images need at least 1 channel, but the data have {channels}.")
    constructor, arguments = CONSTRUCTORS[name]
    with told_if_missing():
        module = importlib.import_module(f"samar.models.{family}")
    network: nn.Module = getattr(module, constructor)(
        **arguments, classes=classes, channels=channels
    )
    return network
