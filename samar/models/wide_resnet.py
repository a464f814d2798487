"""Wide residual networks: WRN-depth-width.

Pre-activation residual blocks B(3,3), as many per stage as n = (depth - 4) / 6, with 16k, 32k and
64k channels for width k:

    o = ReLU(BN(x)),    y = W₂ dropout(ReLU(BN(W₁ o))) + S.

S is x itself while the shape stays, and a 1×1 convolution of o where it changes. A last BatchNorm
and ReLU come before global average pooling and the linear layer.

Reference:
    Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016, arXiv 1605.07146.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from samar.models.build import initialize_convolutions


class WideResNet(nn.Module):
    """A wide residual network.

    Args:
        depth: convolutional layers, 6n + 4 (the 1×1 shortcut ones counted once per stage).
        width: factor k by which the stages are wider than in He et al.
        classes: number of logits.
        channels: channels of the input images.
        dropout: probability of dropping an activation between the convolutions of a block.
    """

    def __init__(
        self, depth: int, width: int, classes: int = 10, channels: int = 3, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth must be 6n + 4 with n ≥ 1, got {depth}; try 16 or 28.")
        blocks = (depth - 4) // 6
        widths = [16, 16 * width, 32 * width, 64 * width]
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.layer1 = _stage(widths[0], widths[1], blocks, 1, dropout)
        self.layer2 = _stage(widths[1], widths[2], blocks, 2, dropout)
        self.layer3 = _stage(widths[2], widths[3], blocks, 2, dropout)
        self.bn = nn.BatchNorm2d(widths[3])
        self.linear = nn.Linear(widths[3], classes)
        initialize_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, channels, height, width) to logits (n, classes)."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(images))))
        logits: Tensor = self.linear(F.relu(self.bn(x)).mean((2, 3)))
        return logits


class WideBlock(nn.Module):
    """A pre-activation block of two 3×3 convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        same_shape = inputs == outputs and stride == 1
        self.shortcut = None if same_shape else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        activated = F.relu(self.bn1(x))
        hidden = F.relu(self.bn2(self.conv1(activated)))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        output: Tensor = self.conv2(self.dropout(hidden)) + shortcut
        return output


def _stage(inputs: int, outputs: int, blocks: int, stride: int, dropout: float) -> nn.Sequential:
    first = WideBlock(inputs, outputs, stride, dropout)
    rest = (WideBlock(outputs, outputs, 1, dropout) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)
