"""Pyramidal residual networks with basic blocks and additive widening.

Channels grow by the same amount at every one of the N blocks instead of doubling at the stages:

    D_k = 16 + round(k α / N),    N = (depth - 2) / 2,

so the last block has 16 + α channels. A block has no ReLU before its first convolution and a
BatchNorm after its last,

    y = BN(W₂ ReLU(BN(W₁ BN(x)))) + S(x),

and its shortcut S has no parameters: 2×2 average pooling where the image is halved, and zeros in
the new channels.

Departure: the paper writes D_k = ⌊D_{k-1} + α / N⌋, which would lose the fraction at every block
where α / N is no whole number; the sum is rounded instead, as in the authors' code. For α = 270
both give 5 channels a block.

Reference:
    Han, Kim, Kim, "Deep Pyramidal Residual Networks", CVPR 2017, arXiv 1610.02915.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from samar.models.build import initialize_convolutions


class PyramidNet(nn.Module):
    """A PyramidNet with basic blocks and zero-padded shortcuts.

    Args:
        depth: weighted layers, 6n + 2.
        alpha: widening α, channels added from the first to the last block.
        classes: number of logits.
        channels: channels of the input images.
    """

    def __init__(self, depth: int, alpha: int, classes: int = 10, channels: int = 3) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"depth must be 6n + 2 with n ≥ 1, got {depth}; try 110.")
        blocks = (depth - 2) // 2
        widths = [16 + (2 * k * alpha + blocks) // (2 * blocks) for k in range(blocks + 1)]
        starts_of_stages = (blocks // 3, 2 * blocks // 3)
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(
            *(
                PyramidBlock(widths[k], widths[k + 1], stride=2 if k in starts_of_stages else 1)
                for k in range(blocks)
            )
        )
        self.bn2 = nn.BatchNorm2d(widths[-1])
        self.linear = nn.Linear(widths[-1], classes)
        initialize_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, channels, height, width) to logits (n, classes)."""
        x = self.blocks(self.bn1(self.conv1(images)))
        logits: Tensor = self.linear(F.relu(self.bn2(x)).mean((2, 3)))
        return logits


class PyramidBlock(nn.Module):
    """A basic block that adds ``outputs - inputs`` channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.new_channels = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, ⌈h / stride⌉, ⌈w / stride⌉)."""
        residual = self.bn3(self.conv2(F.relu(self.bn2(self.conv1(self.bn1(x))))))
        shortcut = x if self.stride == 1 else F.avg_pool2d(x, self.stride, ceil_mode=True)
        output: Tensor = residual + F.pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        return output
