"""Shuffled, augmented, normalized mini-batches by tensor indexing on the images' device.

There are no worker processes: a batch is an index into the images, at most one gather and one
mask for the augmentation, and a cast with an affine map. Batches are addressed by the global step,
and their randomness depends on the seed and the position alone, so nothing has to be saved to
resume.

Every epoch visits every image once. The last batch is smaller where the batch size does not divide
the number of images; a single image left over joins the batch before it, because BatchNorm cannot
normalize one value.
"""

import torch
from torch import Tensor

from samar.data.augment import Augmentation
from samar.data.dataset import ImageSet
from samar.data.normalization import Normalization
from samar.data.randomness import Purpose, generator
from samar.errors import ConfigError


class Batches:
    """The mini-batches of a run, by global step.

    Args:
        images: what to learn from, on the device where batches are wanted.
        batch_size: images per batch, at least 2.
        seed: decides order and augmentation.
        augmentation: random changes to the images.
        normalization: from pixels to what the network sees.
        dtype: of the images in a batch.
        memory_format: of the images in a batch.

    Raises:
        ConfigError: the batch size is below 2, or there is only one image.

    Example:
        >>> from samar.data.augment import augmentation_for
        >>> from samar.data.load import load_dataset
        >>> digits = load_dataset("digits")
        >>> batches = Batches(
        ...     digits.train, 128, seed=0, augmentation=augmentation_for("auto", "digits"),
        ...     normalization=digits.normalization,
        ... )
        >>> x, y = batches.batch(0)
        >>> x.shape, y.shape, batches.steps_per_epoch
        (torch.Size([128, 1, 8, 8]), torch.Size([128]), 8)
    """

    def __init__(
        self,
        images: ImageSet,
        batch_size: int,
        *,
        seed: int,
        augmentation: Augmentation,
        normalization: Normalization,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        if batch_size < 2:
            raise ConfigError(
                f"The batch size is {batch_size}, but BatchNorm needs 2 images; choose 2 or more."
            )
        if len(images) < 2:
            raise ConfigError("There is only 1 training image; use at least 2.")
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.augmentation = augmentation
        self.normalization = normalization
        self.dtype = dtype
        self.memory_format = memory_format
        full, left_over = divmod(len(images), batch_size)
        self.steps_per_epoch = max(full + (left_over > 1), 1)
        self._device = images.images.device
        self._grey = torch.tensor(normalization.grey, dtype=torch.uint8, device=self._device)
        self._last_order: tuple[int, Tensor] = (-1, torch.empty(0))

    def epoch(self, epoch: int) -> Tensor:
        """Order in which an epoch, counted from 0, visits the images: int64 (n,)."""
        known, order = self._last_order
        if known != epoch:
            shuffled = generator(self.seed, Purpose.ORDER, epoch).permutation(len(self.images))
            order = torch.from_numpy(shuffled).to(self._device, non_blocking=True)
            self._last_order = (epoch, order)
        return order

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return normalized images (b, c, h, w) and labels (b,) of a global step, from 0."""
        epoch, within = divmod(step, self.steps_per_epoch)
        start = within * self.batch_size
        stop = start + self.batch_size if within < self.steps_per_epoch - 1 else None
        chosen = self.epoch(epoch)[start:stop]
        pixels = self.images.images.index_select(0, chosen)
        if not self.augmentation.changes_nothing:
            rng = generator(self.seed, Purpose.AUGMENTATION, step)
            draws = self.augmentation.draw(rng, len(chosen), self.images.size, self._device)
            pixels = self.augmentation.apply(pixels, draws, self._grey.view(1, -1, 1, 1))
        x = self.normalization(pixels, dtype=self.dtype, memory_format=self.memory_format)
        return x, self.images.labels.index_select(0, chosen)
