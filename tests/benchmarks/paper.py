"""A rehearsal of the paper's preset: some steps of each arm, and what a GPU would take for all.

The images are random bytes in CIFAR's form, so nothing is downloaded. Every arm of the sweep
preset ``paper`` is stepped with its own settings, but for a smaller batch, and its gradients are
counted. Time on a GPU is predicted, not measured: 6 floating-point operations per
multiply-accumulate and gradient at the speed and share of it that are given. Memory is samar's own
forecast, in fp32; bf16 keeps about half of the activations.

    PYTHONPATH=. python -m tests.benchmarks.paper [--steps 20] [--batch 8]
"""

import argparse
import math
import time

import torch

from samar.data.dataset import Dataset, ImageSet
from samar.data.normalization import Normalization
from samar.device.catalog import in_words
from samar.models.catalog import MODELS
from samar.sweeps.presets import SWEEP_PRESETS
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

IMAGES = 50_000


def images(classes: int) -> Dataset:
    """Random bytes in CIFAR's form."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (512, 3, 32, 32), generator=generator, dtype=torch.uint8)
    part = ImageSet(pixels, torch.arange(512) % classes)
    half = Normalization((0.5,) * 3, (0.5,) * 3)
    return Dataset("random", part, part, tuple(map(str, range(classes))), half, 0, "")


def rehearse(
    config: TrainSettings, steps: int, batch: int, device: str = "cpu"
) -> tuple[float, float]:
    """Gradients a step and seconds a step of some steps; λ and losses must stay finite."""
    data = images(100 if config.dataset == "cifar100" else 10)
    trainer = Trainer(config.changed(batch_size=batch, device=device, precision="auto"), data)
    started = time.perf_counter()
    for _ in range(steps):
        trainer.step()
    records = trainer.drain()
    assert len(records) == steps, trainer.divergence
    assert all(math.isfinite(record.loss) for record in records)
    return records[-1].grad_evals / steps, (time.perf_counter() - started) / steps


def main() -> None:
    """Print a line for each arm, and the whole."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--arms", type=int, help="only the first so many")
    parser.add_argument("--tflops", type=float, default=300.0, help="of the GPU in bf16")
    parser.add_argument("--use", type=float, default=0.3, help="share of that which is reached")
    options = parser.parse_args()
    total = 0.0
    for config in SWEEP_PRESETS["paper"].spec.settings()[: options.arms]:
        info = MODELS[config.model]
        price, seconds = rehearse(config, options.steps, options.batch, options.device)
        if config.second_pass_name == "late":
            price = 2 - config.begin  # it begins after the steps that are rehearsed
        whole = config.epochs * math.ceil(IMAGES / config.batch_size)
        hours = whole * price * 6 * info.macs * config.batch_size
        hours /= options.tflops * 1e12 * options.use * 3600
        memory = in_words(info.bytes_at(32, copies=5, batch=config.batch_size))
        total += 3 * hours
        arm = arm_of(config)
        print(
            f"{config.model:10} {config.dataset:9} {arm:14} {config.epochs} epochs: "
            f"{price:.2f} gradients a step, {seconds:.2f} s a step of {options.batch} on "
            f"{options.device}; "
            f"on a GPU about {hours:.1f} h and {memory}",
            flush=True,
        )
    print(f"all arms, three seeds: about {total:.0f} GPU hours")


def arm_of(config: TrainSettings) -> str:
    """An arm's name."""
    late = "" if config.second_pass == "auto" else f" {config.second_pass}"
    return config.optimizer + late


if __name__ == "__main__":
    main()
