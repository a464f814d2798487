"""A rehearsal of the paper's preset: some steps of each arm, and what a GPU would take for all.

The images are random bytes in CIFAR's form, so nothing is downloaded. Every arm of the sweep
preset ``paper`` is stepped with its own settings, but for a smaller batch, and its gradients are
counted. Time and memory on a GPU are predicted, not measured: 6 floating-point operations per
multiply-accumulate and gradient at the speed and share of it that are given; weights, gradients,
momentum and what the optimizer keeps at 4 bytes a number, and the activations that a forward pass
saves for the backward pass, measured here on two images.

    PYTHONPATH=. python -m tests.benchmarks.paper [--steps 20] [--batch 8]
"""

import argparse
import math
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from samar.data.dataset import Dataset, ImageSet
from samar.data.normalization import Normalization
from samar.models.build import build_model
from samar.models.catalog import MODELS
from samar.sweeps.presets import SWEEP_PRESETS
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

IMAGES = 50_000
EXTRA = {"sgd": 0, "sam": 1, "vasso": 2, "samar": 2}
"""Buffers of the size of the parameters beside weights, gradients and momentum."""


def images(classes: int) -> Dataset:
    """Random bytes in CIFAR's form."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (512, 3, 32, 32), generator=generator, dtype=torch.uint8)
    part = ImageSet(pixels, torch.arange(512) % classes)
    half = Normalization((0.5,) * 3, (0.5,) * 3)
    return Dataset("random", part, part, tuple(map(str, range(classes))), half, 0, "")


def activations(model: str, classes: int) -> float:
    """Bytes that one image's forward pass in bf16 saves for its backward pass."""
    network = build_model(model, classes=classes).train()
    known = {p.untyped_storage().data_ptr() for p in network.parameters()}
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", dtype=torch.bfloat16),
    ):
        loss = F.cross_entropy(network(torch.randn(2, 3, 32, 32)), torch.arange(2))
    weights = 2 * sum(p.numel() for p in network.parameters())  # their casts to bf16
    del loss
    return max(sum(sizes.values()) - weights, 0) / 2


def rehearse(config: TrainSettings, steps: int, batch: int) -> tuple[float, float]:
    """Gradients a step and seconds a step of some steps; λ and losses must stay finite."""
    data = images(100 if config.dataset == "cifar100" else 10)
    trainer = Trainer(config.changed(batch_size=batch, device="cpu", precision="auto"), data)
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
    parser.add_argument("--tflops", type=float, default=300.0, help="of the GPU in bf16")
    parser.add_argument("--use", type=float, default=0.3, help="share of that which is reached")
    options = parser.parse_args()
    total = 0.0
    saved: dict[tuple[str, int], float] = {}
    for config in SWEEP_PRESETS["paper"].spec.settings():
        info = MODELS[config.model]
        classes = 100 if config.dataset == "cifar100" else 10
        price, seconds = rehearse(config, options.steps, options.batch)
        if config.second_pass_name == "late":
            price = 2 - config.begin  # it begins after the steps that are rehearsed
        whole = config.epochs * math.ceil(IMAGES / config.batch_size)
        hours = whole * price * 6 * info.macs * config.batch_size
        hours /= options.tflops * 1e12 * options.use * 3600
        key = (config.model, classes)
        if key not in saved:
            saved[key] = activations(*key)
        buffers = 3 + EXTRA[config.optimizer]
        gib = (4 * buffers * info.parameters + saved[key] * config.batch_size) / 2**30
        total += 3 * hours
        arm = arm_of(config)
        print(
            f"{config.model:10} {config.dataset:9} {arm:14} {config.epochs} epochs: "
            f"{price:.2f} gradients a step, {seconds:.2f} s a step of {options.batch} here; "
            f"on a GPU about {hours:.1f} h and {gib:.1f} GiB",
            flush=True,
        )
    print(f"all arms, three seeds: about {total:.0f} GPU hours")


def arm_of(config: TrainSettings) -> str:
    """An arm's name."""
    late = "" if config.second_pass == "auto" else f" {config.second_pass}"
    return config.optimizer + late


if __name__ == "__main__":
    main()
