"""What a landscape costs next to plain loops and three public libraries.

One plane of 5 × 5 points of a network with evenly spaced random inputs; whole calls are timed, ours
with its set-up. Contenders take turns within each repeat, so a slow moment of the machine hits all
alike; times are medians per point. The naive loop is ``inference_mode`` over all images at once, or
over the batch size that a search beforehand found best. Libraries that fail on BatchNorm run on the
same network with BatchNorm folded away. The last line holds our speed against that of one large
matrix product: more than that no exact convolution reaches, however its loop is written.

    pip install --no-deps loss-landscapes==3.0.6 nngeom==0.2.0 loss-landscape-3d==0.1.3
    PYTHONPATH=. python tests/benchmarks/landscape.py [--images 512] [--threads 2] [--repeats 3]
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from importlib import import_module

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from samar.data.sample import Sample
from samar.device.catalog import BF16
from samar.device.precision import has_bf16
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.folding import FoldedNetwork
from samar.landscapes.frame import Frame, random_frame
from samar.landscapes.grid import Grid
from samar.landscapes.sampler import Sampler
from samar.models.build import build_model
from samar.models.catalog import MODELS

POINTS = 5
BATCHES = (32, 64, 128, 256, 512)
IN_PLACE = "" if has_bf16(torch.device("cpu")) else " (fp32 in its place)"
NAIVE = "naive loop, all images at once"


def naive(model: nn.Module, frame: Frame, sample: Sample, batch: int) -> list[float]:
    """The loop that everybody writes first."""
    net = copy.deepcopy(model).eval()
    grid = Grid([(-1, 1)] * 2, POINTS)
    losses = []
    with torch.inference_mode():
        for index in grid.pending(POINTS):
            point = grid.coordinates(index)
            for parameter, weight in zip(net.parameters(), frame.at(point), strict=True):
                parameter.copy_(weight)
            total = sum(
                F.cross_entropy(net(x), y, reduction="sum").item() for x, y in sample.batches(batch)
            )
            losses.append(total / len(sample))
    return losses


def ours(model: nn.Module, frame: Frame, sample: Sample, precision: str = "fp32") -> list[float]:
    grid = Grid([(-1, 1)] * 2, POINTS)
    order = grid.pending(POINTS)
    *_, found = Sampler(frame, Evaluator(model, sample, precision=precision), grid).levels()
    return [float(found.loss[index]) for index in order]


def loss_landscapes(model: nn.Module, sample: Sample) -> None:
    library = import_module("loss_landscapes")
    metrics = import_module("loss_landscapes.metrics")
    metric = metrics.Loss(F.cross_entropy, sample.x, sample.y)
    with torch.inference_mode():
        library.random_plane(copy.deepcopy(model).eval(), metric, steps=POINTS)


def nngeom(model: nn.Module, sample: Sample) -> None:
    library = import_module("nngeom")
    land = import_module("nngeom.lossland")
    wrapped = library.Model(
        copy.deepcopy(model).eval(), lambda net, batch: F.cross_entropy(net(batch[0]), batch[1])
    )
    land.plane_slice_2d(wrapped, (sample.x, sample.y), steps=POINTS, seed=0)


def loss_landscape_3d(model: nn.Module, sample: Sample, batch: int) -> None:
    calculator = import_module("loss_landscape_3d.calculator")
    directions = import_module("loss_landscape_3d.directions")
    net = copy.deepcopy(model).eval()
    loader = DataLoader(TensorDataset(sample.x, sample.y), batch_size=batch)
    axis = torch.linspace(-1, 1, POINTS).tolist()
    one, two = directions.generate_random_directions(net)
    centre = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    worker = calculator.LossLandscapeCalculator(net, loader, nn.CrossEntropyLoss())
    worker.calculate(axis, axis, one, two, centre)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def multiplications(device: torch.device, size: int = 1024) -> float:
    """Multiply-accumulates a second in a product of two large matrices, the best of ten."""
    one, two = torch.randn(2, size, size, device=device)
    return size**3 / min(seconds(lambda: one @ two) for _ in range(10))


def contenders(
    model: nn.Module, bare: nn.Module, frame: Frame, sample: Sample, best: int
) -> dict[str, Callable[[], object]]:
    calls: dict[str, Callable[[], object]] = {
        NAIVE: lambda: naive(model, frame, sample, len(sample)),
        f"naive loop, {best} images a batch": lambda: naive(model, frame, sample, best),
        "samar fp32": lambda: ours(model, frame, sample),
        f"samar {BF16} preview{IN_PLACE}": lambda: ours(model, frame, sample, BF16),
    }
    libraries = {
        "loss-landscapes 3.0.6": lambda net: loss_landscapes(net, sample),
        "nngeom 0.2.0": lambda net: nngeom(net, sample),
        "loss-landscape-3d 0.1.3": lambda net: loss_landscape_3d(net, sample, best),
    }
    for name, call in libraries.items():
        try:
            call(model)
            calls[name] = lambda call=call: call(model)
        except ImportError as error:
            print(f"{name} is left out: {error}")
        except Exception as error:
            print(f"{name} fails on this network ({error}); it gets one without BatchNorm.")
            calls[f"{name}, no BatchNorm"] = lambda call=call: call(bare)
    if any("no BatchNorm" in name for name in calls):
        straight = random_frame(bare)
        calls["samar fp32, no BatchNorm"] = lambda: ours(bare, straight, sample)
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    options = parser.parse_args()
    if options.quick:
        options.model, options.images, options.repeats = "cnn", 64, 1
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = torch.device(options.device)
    model = build_model(options.model).to(device)
    labels = torch.arange(options.images) % 10
    sample = Sample(torch.randn(options.images, 3, 32, 32).to(device), labels.to(device))
    model(sample.x[:128])
    frame = random_frame(model)
    folded = FoldedNetwork(copy.deepcopy(model).eval())
    folded.load()
    bare = folded.network.to(memory_format=torch.contiguous_format).requires_grad_(True)

    plain = copy.deepcopy(model).eval()
    with torch.inference_mode():
        speeds = {
            size: min(
                seconds(lambda size=size: [plain(x) for x, _ in sample.batches(size)])
                for _ in range(2)
            )
            for size in BATCHES
            if size <= options.images
        }
    best = min(speeds, key=speeds.__getitem__)
    calls = contenders(model, bare, frame, sample, best)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(options.repeats):
        for name, call in calls.items():
            times[name].append(seconds(call))

    reference, fast = naive(model, frame, sample, best), ours(model, frame, sample)
    error = max(abs(a - b) / a for a, b in zip(reference, fast, strict=True))
    medians = {name: statistics.median(each) for name, each in times.items()}
    print(
        f"{options.model}, {options.images} images, {options.threads} thread(s), torch "
        f"{torch.__version__}; largest relative difference to the naive loop {error:.1e}"
    )
    print(f"{'':42}{'ms/point':>10}{'ratio':>8}")
    for name, total in medians.items():
        print(f"{name:42}{1e3 * total / POINTS**2:10.1f}{total / medians[NAIVE]:8.2f}")
    rate = MODELS[options.model].macs_at(32) * options.images * POINTS**2 / medians["samar fp32"]
    most = multiplications(device)
    print(f"{2e-9 * rate:.0f} GFLOP/s, {rate / most:.2f} of a matrix product's {2e-9 * most:.0f}")
    small = Sample(sample.x[:256], sample.y[:256])
    print(f"first picture, 256 images: {seconds(lambda: ours(model, frame, small)):.2f} s")


if __name__ == "__main__":
    main()
