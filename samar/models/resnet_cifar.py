"""He et al.'s residual networks for CIFAR: ResNet-20, 32, 44, 56 and 110.

A 3×3 convolution to 16 channels, then three stages of n blocks with 16, 32 and 64 channels (depth
6n + 2), of which the second and third halve the image, then global average pooling and a linear
layer. A block computes

    y = ReLU(BN(W₂ ReLU(BN(W₁ x))) + S(x)).

The shortcut S is the identity except where the shape changes. There it is one of

* option A (the paper's choice for CIFAR): every second pixel, new channels filled with zeros; it
  has no parameters. The paper does not say where the zeros go; they are split evenly before and
  after the old channels, as in the public checkpoints of Idelbayev, which load strictly here.
* option B: a 1×1 convolution of stride 2 and BatchNorm.

Reference:
    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2,
    arXiv 1512.03385.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from samar.models.build import initialize_convolutions


class ResNetCifar(nn.Module):
    """A CIFAR residual network with basic blocks.

    Args:
        depth: weighted layers, 6n + 2.
        classes: number of logits.
        channels: channels of the input images.
        convolutional_shortcuts: option B instead of option A.
    """

    def __init__(
        self,
        depth: int,
        classes: int = 10,
        channels: int = 3,
        convolutional_shortcuts: bool = False,
    ) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"depth must be 6n + 2 with n ≥ 1, got {depth}; try 20 or 56.")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, 1, convolutional_shortcuts)
        self.layer2 = _stage(16, 32, blocks, 2, convolutional_shortcuts)
        self.layer3 = _stage(32, 64, blocks, 2, convolutional_shortcuts)
        self.linear = nn.Linear(64, classes)
        initialize_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, channels, height, width) to logits (n, classes)."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, convolutional_shortcut: bool
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module
        if stride == 1:
            self.shortcut = nn.Identity()
        elif convolutional_shortcut:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        else:
            self.shortcut = ZeroPadShortcut(outputs - inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + self.shortcut(x))


class ZeroPadShortcut(nn.Module):
    """Option A: keeps every second pixel and adds ``new_channels`` channels of zeros."""

    def __init__(self, new_channels: int) -> None:
        super().__init__()
        self.before = new_channels // 2
        self.after = new_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, c + new_channels, ⌈h/2⌉, ⌈w/2⌉)."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))


def _stage(
    inputs: int, outputs: int, blocks: int, stride: int, convolutional_shortcuts: bool
) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride, convolutional_shortcuts)
    rest = (BasicBlock(outputs, outputs, 1, convolutional_shortcuts) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)
