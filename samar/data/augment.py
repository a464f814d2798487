"""Random crop, horizontal flip and Cutout for a whole batch at once, on the batch's device.

Crop: the image gets a black border of p pixels and a window of its old size is cut out at a
uniformly random position. Flip: mirrored left to right with probability 1/2. Cutout: with
probability q a square of s × s pixels is blanked; its centre is uniform over the image, so it may
overhang the border. Rows and columns of crop and flip become one index per pixel and a single
gather; nothing loops over images.

All of it works on bytes, before normalization: the border is black, as in torchvision's usual
pipeline, and a blanked square has the value that normalizes closest to zero, which Cutout's
authors, who blank after normalization, set to zero exactly.

Reference:
    DeVries, Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017,
    arXiv 1708.04552.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samar.data.catalog import AUGMENTATIONS, dataset_info
from samar.errors import ConfigError


class Draws(NamedTuple):
    """What was drawn for each of n images, int64 (n,) each.

    ``top`` and ``left`` place the crop in the padded image; ``flip`` is 0 or 1; ``row`` and
    ``column`` are Cutout's centre, far outside the image where nothing is blanked.
    """

    top: Tensor
    left: Tensor
    flip: Tensor
    row: Tensor
    column: Tensor


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training images.

    Args:
        crop_padding: border p in pixels before the crop, 0 for no crop.
        flip: whether to flip half of the images.
        cutout: side s of the blanked square in pixels, 0 for no Cutout.
        cutout_probability: share q of images that lose a square.

    Raises:
        ConfigError: a length is negative or the probability is not between 0 and 1.
    """

    crop_padding: int = 4
    flip: bool = True
    cutout: int = 16
    cutout_probability: float = 0.5

    def __post_init__(self) -> None:
        if self.crop_padding < 0 or self.cutout < 0:
            raise ConfigError(
                f"Crop padding is {self.crop_padding} and Cutout {self.cutout} pixels; "
                "choose 0 or more."
            )
        if not 0 <= self.cutout_probability <= 1:
            raise ConfigError(
                f"Cutout's probability is {self.cutout_probability:g}; "
                "choose a share between 0 and 1."
            )

    @property
    def changes_nothing(self) -> bool:
        """Whether images come out as they went in."""
        return self.crop_padding == 0 and not self.flip and self.cutout == 0

    def draw(self, rng: np.random.Generator, count: int, size: int, device: torch.device) -> Draws:
        """Draw for ``count`` images of ``size`` × ``size`` pixels; one transfer to the device."""
        window = rng.integers(0, 2 * self.crop_padding + 1, size=(2, count))
        flip = rng.integers(0, 2, size=(1, count)) * self.flip
        centre = rng.integers(0, size, size=(2, count))
        spared = rng.random(count) >= self.cutout_probability
        centre[:, spared] = -2 * self.cutout - 1
        drawn = torch.from_numpy(np.concatenate([window, flip, centre]))
        return Draws(*drawn.to(device, non_blocking=True))

    def apply(self, pixels: Tensor, draws: Draws, grey: Tensor) -> Tensor:
        """Change uint8 images (n, c, h, w) as drawn; the input is left as it is.

        Args:
            pixels: the images.
            draws: one draw per image.
            grey: uint8 (1, c, 1, 1), the value of blanked pixels.
        """
        if self.crop_padding or self.flip:
            pixels = self._crop_and_flip(pixels, draws)
        if self.cutout:
            pixels = torch.where(self._square(pixels, draws), grey, pixels)
        return pixels

    def _crop_and_flip(self, pixels: Tensor, draws: Draws) -> Tensor:
        n, c, height, width = pixels.shape
        padded = F.pad(pixels, (self.crop_padding,) * 4)
        rows, columns = _grid(pixels)
        mirrored = torch.where(draws.flip[:, None] == 1, width - 1 - columns, columns)
        source_rows = draws.top[:, None] + rows
        source_columns = draws.left[:, None] + mirrored
        # (n, 1, h·w) positions in the flattened padded image, the same for every channel
        source = source_rows[:, :, None] * padded.shape[3] + source_columns[:, None, :]
        source = source.view(n, 1, height * width).expand(n, c, height * width)
        return padded.flatten(2).gather(2, source).view_as(pixels)

    def _square(self, pixels: Tensor, draws: Draws) -> Tensor:
        """Mask (n, 1, h, w) of the pixels to blank."""
        rows, columns = _grid(pixels)
        down = rows - draws.row[:, None] + self.cutout // 2
        right = columns - draws.column[:, None] + self.cutout // 2
        in_rows = (down >= 0) & (down < self.cutout)
        in_columns = (right >= 0) & (right < self.cutout)
        return (in_rows[:, :, None] & in_columns[:, None, :]).unsqueeze(1)


def _grid(pixels: Tensor) -> tuple[Tensor, Tensor]:
    height, width = pixels.shape[2:]
    return torch.arange(height, device=pixels.device), torch.arange(width, device=pixels.device)


def augmentation_for(name: str, dataset: str, size: int | None = None) -> Augmentation:
    """Return a preset, scaled to the data set's image size.

    A crop shifts by up to an eighth of the side and Cutout blanks half of it: 4 and 16 pixels on
    32×32 images, 1 and 4 on digits.

    Args:
        name: a key of :data:`samar.data.catalog.AUGMENTATIONS`, or "auto" for what suits the data
            set.
        dataset: a name that :func:`samar.data.catalog.dataset_info` knows.
        size: of its images, where they are not of the data set's own height and width.

    Raises:
        ConfigError: there is no such preset.
    """
    info = dataset_info(dataset)
    size = info.size if size is None else size
    name = info.augment if name == "auto" else name
    if name not in AUGMENTATIONS:
        raise ConfigError(
            f"The augmentation {name!r} does not exist; choose auto, {', '.join(AUGMENTATIONS)}."
        )
    if name == "none":
        return Augmentation(crop_padding=0, flip=False, cutout=0)
    cutout = size // 2 if name == "crop_flip_cutout" else 0
    return Augmentation(crop_padding=0 if name == "flip" else size // 8, cutout=cutout)
