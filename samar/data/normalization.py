"""From pixels to what a network sees: z = (x / 255 - mean) / std, per channel."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from samar.data.catalog import NORMALIZATIONS
from samar.errors import ConfigError


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation per channel, of pixel values between 0 and 1.

    Args:
        mean: one value between 0 and 1 per channel.
        std: one positive value per channel.

    Raises:
        ConfigError: the lengths differ, or a value is out of range.

    Example:
        >>> pixels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
        >>> Normalization((0.5,), (0.5,))(pixels).flatten()
        tensor([-1.,  1.])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        mean_fits = all(0 <= mean <= 1 for mean in self.mean)
        if len(self.mean) != len(self.std) or not mean_fits or not all(s > 0 for s in self.std):
            raise ConfigError(
                f"The normalization has mean {self.mean} and deviation {self.std}; "
                "give one mean between 0 and 1 and one positive deviation per channel."
            )

    def __call__(
        self,
        pixels: Tensor,
        *,
        dtype: torch.dtype = torch.float32,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> Tensor:
        """Normalize uint8 images (n, c, h, w).

        Half-precision results are computed in float32 and rounded once.
        """
        exact = torch.float64 if dtype == torch.float64 else torch.float32
        scale, shift = _affine(self, pixels.device, exact)
        normalized = pixels.to(exact).mul_(scale).add_(shift)
        return normalized.to(dtype=dtype, memory_format=memory_format)

    @property
    def grey(self) -> tuple[int, ...]:
        """The pixel value per channel that comes closest to zero when normalized."""
        return tuple(round(255 * mean) for mean in self.mean)

    @classmethod
    def preset(cls, name: str, channels: int) -> "Normalization":
        """Take a key of :data:`samar.data.catalog.NORMALIZATIONS` for grey or colour images.

        Raises:
            ConfigError: there is no such preset.
        """
        if name not in NORMALIZATIONS:
            raise ConfigError(
                f"The normalization {name!r} does not exist; "
                f"choose auto, {', '.join(NORMALIZATIONS)}."
            )
        info = NORMALIZATIONS[name]
        if len(info.mean) == channels:
            return cls(info.mean, info.std)
        mean, std = (sum(values) / len(values) for values in (info.mean, info.std))
        return cls((mean,) * channels, (std,) * channels)

    @classmethod
    def measured(cls, pixels: Tensor) -> "Normalization":
        """Measure mean and deviation of uint8 images (n, c, h, w), exactly, in float64."""
        levels = torch.arange(256, dtype=torch.float64) / 255
        means, stds = [], []
        for channel in pixels.cpu().unbind(1):
            share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
            mean = (share * levels).sum()
            means.append(mean.item())
            # At least one grey level, so that images of a single colour can be normalized.
            stds.append(max((share * (levels - mean).square()).sum().sqrt().item(), 1 / 255))
        return cls(tuple(means), tuple(stds))


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _affine(
    normalization: Normalization, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Scale and shift (1, c, 1, 1) with z = scale · x + shift.

    Mean and deviation are rounded to float32 first, as they are in the pipelines that trained the
    public checkpoints; at a ReLU's kink the eighth digit of an input can be seen in an eigenvalue.
    """
    mean = torch.tensor(normalization.mean).double().view(1, -1, 1, 1)
    std = torch.tensor(normalization.std).double().view(1, -1, 1, 1)
    both = 1 / (255 * std), -mean / std
    scale, shift = (each.to(dtype).to(device, non_blocking=True) for each in both)
    return scale, shift
