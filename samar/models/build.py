"""From a catalogue name to a network with fresh weights."""

import importlib

import torch
from torch import nn

from samar.device.placement import layout_of
from samar.errors import ConfigError, told_if_missing
from samar.models.catalog import model_info


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
    info = model_info(name)
    if classes < 2:
        raise ConfigError(f"A classifier needs at least 2 classes, but the data have {classes}.")
    if channels < 1:
        raise ConfigError(f"Images need at least 1 channel, but the data have {channels}.")
    file, constructor = info.constructor.split(".")
    with told_if_missing():  # torchvision alone takes a second to import
        build = getattr(importlib.import_module(f"samar.models.{file}"), constructor)
    network: nn.Module = build(**info.arguments, classes=classes, channels=channels)
    return network


def initialize_convolutions(network: nn.Module) -> None:
    """Draw every convolution of ``network`` from He's distribution and set its bias to zero.

    A weight of a k×k convolution with n output channels is drawn from N(0, 2 / (k² n)), which keeps
    the variance of the backward signal constant through ReLU layers. BatchNorm starts as the
    identity and linear layers keep PyTorch's default, as in torchvision.

    Reference:
        He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015, arXiv 1502.01852.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def layout_for(network: nn.Module) -> torch.memory_format | None:
    """The quickest memory layout for a network of :func:`build_model`; None for any other.

    Another may flatten with ``view``, which does not work in channels last. It takes its inputs in
    the layout in which they were given.
    """
    if type(network).__module__.startswith(("samar.models.", "torchvision.models.")):
        return layout_of(next(network.parameters()).device)
    return None
