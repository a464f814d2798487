"""Peak memory that processes really take.

Each task is a process of its own that takes more and more, because the largest resident size of a
process never shrinks. What a process takes that only imports and builds is taken off. On a GPU the
allocator is asked instead (``--gpu``, in this process).

    PYTHONPATH=. python -m tests.benchmarks.memory [--task TASK …] [--amounts N …]
        [--model resnet20] [--size 32] [--gpu]
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from samar.connectivity.settings import ConnectivitySettings
from samar.curvature.catalog import HESSIAN
from samar.curvature.settings import CurvatureSettings
from samar.device.catalog import in_words
from samar.landscapes.settings import LandscapeSettings
from samar.training.settings import TrainSettings

CONNECTED = ConnectivitySettings(points=5, steps=2, plane=0)
QUIET: dict[str, Any] = {"precision": "fp32"}


def data_of(size: int, count: int) -> Any:
    """Random images of a size."""
    import torch

    from samar.data.dataset import Dataset, ImageSet
    from samar.data.normalization import Normalization

    pixels = torch.randint(256, (count, 3, size, size), dtype=torch.uint8)
    part = ImageSet(pixels, torch.arange(count) % 10)
    half = Normalization((0.5,) * 3, (0.5,) * 3)
    return Dataset("random", part, part, tuple("0123456789"), half, 0, "")


def train(model: str, size: int, amount: int, device: str) -> None:
    """Two steps of SAMAR with batches of so many images."""
    from samar.training.trainer import Trainer

    settings = TrainSettings(model=model, batch_size=max(amount, 2), device=device, **QUIET)
    trainer = Trainer(settings, data_of(size, 2 * max(amount, 2)))
    if amount:
        trainer.step()
        trainer.step()
        trainer.drain()


def landscape(model: str, size: int, points: int, device: str) -> None:
    """A plane with so many points an axis, of 128 images."""
    from samar.landscapes.sampler import sampler_of
    from samar.models.build import build_model

    network, data = build_model(model).to(device), data_of(size, 128).to(device)
    if points:
        settings = LandscapeSettings(points=points, images=128, precision="fp32")
        list(sampler_of(settings, network, data).levels())


def curvature(model: str, size: int, images: int, device: str, matrix: str = HESSIAN) -> None:
    """Some products with so many images."""
    from samar.curvature.report import measure
    from samar.models.build import build_model

    network, data = build_model(model), data_of(size, max(images, 1))
    if images:
        asked = CurvatureSettings(matrix=matrix, top=1, images=images, max_products=2)
        measure(network, data, asked, device=device)


def connectivity(model: str, size: int, images: int, device: str) -> None:
    """A straight line and a trained curve between two networks, of so many images."""
    from samar.connectivity.measure import Connector
    from samar.models.build import build_model

    network, other = (build_model(model).to(device) for _ in range(2))
    data = data_of(size, max(images, 256)).to(device)
    if images:
        asked = CONNECTED.changed(images=images)
        connector = Connector.on_images(network, other.state_dict(), asked, data)
        for curve, aligned in asked.paths:
            connector.path(curve, aligned)


TASKS: dict[str, tuple[Callable[[str, int, int, str], None], tuple[int, ...], str]] = {
    "train": (train, (32, 128), "images a batch"),
    "landscape": (landscape, (5, 17), "points an axis"),
    "hessian": (curvature, (64, 256, 1024), "images"),
    "gauss_newton": (partial(curvature, matrix="gauss_newton"), (64, 256, 1024), "images"),
    "connectivity": (connectivity, (64, 512), "images"),
}


def resident(task: str, model: str, size: int, *amounts: int, first: str = "") -> list[float]:
    """Largest resident sizes in bytes, so far, of a process that does a task again and again.

    Args:
        amounts: of what the task is done with, rising; 0 only imports and builds.
        first: code that the process runs before.
    """
    code = (
        "from pathlib import Path\n"
        f"{first}\n"
        "from tests.benchmarks.memory import TASKS\n"
        f"for amount in {amounts}:\n"
        f"    TASKS[{task!r}][0]({model!r}, {size}, amount, 'cpu')\n"
        # Not ru_maxrss, which is at least what the process that started this one has.
        "    status = Path('/proc/self/status').read_text()\n"
        "    print(1024 * int(status.partition('VmHWM:')[2].split()[0]))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def allocated(task: str, model: str, size: int, *amounts: int) -> list[float]:
    """Most bytes that a task had on the GPU, for each amount."""
    import torch

    most = []
    for amount in amounts:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        TASKS[task][0](model, size, amount, "cuda")
        most.append(float(torch.cuda.max_memory_allocated()))
    return most


def main() -> None:
    """A line for each task and amount."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--size", type=int, default=32, choices=(8, 32))
    parser.add_argument("--gpu", action="store_true", help="on the GPU")
    parser.add_argument("--amounts", nargs="+", type=int, help="instead of the usual ones")
    parser.add_argument("--task", nargs="+", default=list(TASKS), choices=TASKS)
    options = parser.parse_args()
    peak = allocated if options.gpu else resident
    for task in options.task:
        _, usual, unit = TASKS[task]
        amounts = tuple(options.amounts or usual)
        base, *peaks = peak(task, options.model, options.size, 0, *amounts)
        for amount, most in zip(amounts, peaks, strict=True):
            used = most - base
            print(f"{options.model:10} {task:10} {amount:5} {unit:15} {in_words(used):>8} taken")


if __name__ == "__main__":
    main()
