"""A small convolutional network that trains in seconds on one CPU core.

Three blocks of 3×3 convolution, BatchNorm and ReLU with 24, 48 and 64 channels; the second
halves the image. Global average pooling makes it independent of the image size, from 8×8 digits to
32×32 photographs.
"""

from torch import Tensor, nn

from samar.models.build import initialize_convolutions


class SmallCNN(nn.Module):
    """Three convolutional blocks and a linear head.

    Args:
        classes: number of logits.
        channels: channels of the input images.
    """

    def __init__(self, classes: int = 10, channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_block(channels, 24, stride=1), *_block(24, 48, stride=2), *_block(48, 64, stride=1)
        )
        self.linear = nn.Linear(64, classes)
        initialize_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, channels, height, width) to logits (n, classes)."""
        logits: Tensor = self.linear(self.features(images).mean((2, 3)))
        return logits


def _block(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()
