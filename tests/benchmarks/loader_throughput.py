"""Images per second of ``Batches`` against the usual DataLoader with torchvision transforms.

Both deliver CIFAR-shaped batches of 128 with random crop, flip and normalization on the CPU; what
is loaded is random bytes. Prints the median over several epochs and the ratio. Run on demand:

    python -m tests.benchmarks.loader_throughput [--images 10000] [--epochs 5] [--threads 1]
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from samar.data.augment import augmentation_for
from samar.data.batches import Batches
from samar.data.dataset import ImageSet
from samar.data.normalization import Normalization

BATCH = 128
NORMALIZATION = Normalization.preset("cifar", 3)


class Photographs(Dataset):
    """What torchvision's CIFAR10 does per image: NumPy to PIL, then the transforms."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        self.pixels, self.labels = pixels, labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(NORMALIZATION.mean, NORMALIZATION.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


def images_per_second(epoch: Callable[[int], Iterable], count: int, epochs: int) -> float:
    """Median over epochs, after one to warm up."""
    rates = []
    for number in range(epochs + 1):
        started = time.perf_counter()
        for _ in epoch(number):
            pass
        rates.append(count / (time.perf_counter() - started))
    return statistics.median(rates[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (arguments.images, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, arguments.images)
    images = ImageSet(
        torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)
    )

    contenders: dict[str, Callable[[int], Iterable]] = {}
    for augmentation in ("crop_flip", "crop_flip_cutout"):
        for layout in (torch.contiguous_format, torch.channels_last):
            batches = Batches(
                images,
                BATCH,
                seed=0,
                augmentation=augmentation_for(augmentation, "cifar10"),
                normalization=NORMALIZATION,
                memory_format=layout,
            )
            steps = batches.steps_per_epoch
            contenders[f"Batches {augmentation} {str(layout).removeprefix('torch.')}"] = (
                lambda epoch, batches=batches, steps=steps: (
                    batches.batch(epoch * steps + step) for step in range(steps)
                )
            )
    for workers in (0, 2):
        loader = DataLoader(
            Photographs(pixels, labels),
            BATCH,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        contenders[f"DataLoader crop_flip {workers} workers"] = lambda _, loader=loader: loader

    rates = {
        name: images_per_second(epoch, arguments.images, arguments.epochs)
        for name, epoch in contenders.items()
    }
    best_usual = max(rate for name, rate in rates.items() if name.startswith("DataLoader"))
    print(f"{'loader':<45}{'images/s':>10}{'ratio':>8}   ({arguments.threads} thread(s))")
    for name, rate in rates.items():
        print(f"{name:<45}{rate:>10,.0f}{rate / best_usual:>8.1f}")


if __name__ == "__main__":
    main()
