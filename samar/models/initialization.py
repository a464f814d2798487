"""He initialization of convolutions.

A weight of a k×k convolution with n output channels is drawn from N(0, 2 / (k² n)), which keeps
the variance of the backward signal constant through ReLU layers. BatchNorm starts as the identity
and linear layers keep PyTorch's default, as in torchvision.

Reference:
    He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015, arXiv 1502.01852.
"""

from torch import nn


def initialize_convolutions(network: nn.Module) -> None:
    """Draw every convolution of ``network`` from He's distribution and set its bias to zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
