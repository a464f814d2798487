"""Where bf16 autocast pays: step time of bf16 over fp32 for networks of growing cost.

Run: ``python -m tests.benchmarks.precision``; the threshold in samar.device.precision follows.
"""

import argparse
import statistics
import time

import torch

from samar.data.dataset import Dataset, ImageSet
from samar.data.normalization import Normalization
from samar.models.catalog import MODELS
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

CASES = (("cnn", 8, 1), ("cnn", 32, 3), ("resnet20", 32, 3), ("resnet56", 32, 3))


def noise(size: int, channels: int) -> Dataset:
    """Images of a shape; only the shape matters for speed."""
    images = torch.randint(0, 256, (1280, channels, size, size), dtype=torch.uint8)
    data = ImageSet(images, torch.randint(0, 10, (len(images),)))
    flat = Normalization((0.5,) * channels, (0.5,) * channels)
    return Dataset("noise", data, data, tuple("0123456789"), flat, 0, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    quick = parser.parse_args().quick
    rounds, cases = (2, CASES[:1]) if quick else (8, CASES)
    for model, size, channels in cases:
        data = noise(size, channels)
        trainers = {
            precision: Trainer(
                TrainSettings(
                    model=model, optimizer="sgd", precision=precision, augment="none", epochs=999
                ),
                data,
            )
            for precision in ("fp32", "bf16")
        }
        ratios = []
        for _ in range(rounds):
            seconds = {}
            for precision, trainer in trainers.items():
                started = time.perf_counter()
                for _ in range(3):
                    trainer.step()
                trainer.drain()
                seconds[precision] = time.perf_counter() - started
            ratios.append(seconds["bf16"] / seconds["fp32"])
        macs = MODELS[model].macs_at(size) / 1e6
        ratio = statistics.median(ratios[1:])
        instead = "" if trainers["bf16"].placement.autocast_dtype else " (fp32 in its place)"
        print(
            f"{model:9} {size}×{size}: {macs:7.1f} MMACs an image, bf16{instead} / fp32 {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
