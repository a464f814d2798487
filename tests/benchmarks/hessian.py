"""The top five Hessian eigenvalues: products, wall time and true error beside PyHessian and nngeom.

A ResNet-20 (a checkpoint with --weights, else freshly drawn weights) and 128 images, the same for
all, in one process; contenders take turns, and times are medians. PyHessian 0.1 runs at its
tolerance 1e-3 in its faster mode (one batch, graph kept). That is the change of an eigenvalue from
one product to the next; the residuals ‖H v − λ v‖ / |λ| with which it ends are larger, and ours is
also run to the largest of them, so that both are equally good. nngeom 0.2.0's Lanczos takes the
number of steps it is told; it gets the fewest after which its top five are within 1e-4 of those
that it ends with. Errors are relative to our own result at a tolerance of 1e-6; another layout of
the images in memory switches a few ReLUs, which alone moves a float32 eigenvalue by up to 2e-4.

With --start instead: how far the first estimate of the largest eigenvalue is off after four
products, from the gradient and a random direction as a start, and from a random direction alone.

    pip install nngeom==0.2.0 --no-deps
    PYTHONPATH=. python tests/benchmarks/hessian.py [--repeats 3] [--weights FILE --dataset NAME]
        [--start]
"""

import argparse
import copy
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pyhessian import hessian as PyHessian
from torch import nn

from samar.curvature.product import hessian_of
from samar.curvature.solvers.eigenvalues import top_eigenvalues, top_of
from samar.curvature.solvers.krylov import KrylovSpace, Room, random_normal
from samar.data.sample import Sample

K = 5
TARGET = 1e-4
NNGEOM_MOST = 32
FIRST_PRODUCTS = 4


def subject(options: argparse.Namespace) -> tuple[nn.Module, Sample]:
    from samar.jobs.store import Store
    from samar.models.build import build_model
    from samar.networks.load import load_network

    if options.weights:
        found = load_network(
            Store(),
            str(options.weights),
            model="resnet20",
            dataset=options.dataset,
            normalize="imagenet",
        )
        images = Sample.of(found.dataset.test, found.dataset.normalization, options.images)
        return found.model, images
    n = options.images
    return build_model("resnet20"), Sample(torch.randn(n, 3, 32, 32), torch.randint(10, (n,)))


def error(values: list[float], exact: tuple[float, ...]) -> float:
    return max(abs(a - b) / abs(b) for a, b in zip(values, exact, strict=True))


def products_to_target(model: nn.Module, sample: Sample, exact: tuple[float, ...]) -> int:
    """The fewest products after which our Ritz values are right, whatever the residuals say."""
    with hessian_of(model, sample) as hessian:
        generator = torch.Generator().manual_seed(0)
        start = random_normal(hessian.gradient, generator)
        space = KrylovSpace(hessian.__matmul__, start, Room(60, start.device), generator)
        for products in range(1, 61):
            space.grow()
            values = space.ritz().values[: -K - 1 : -1].tolist()
            if products >= K and error(values, exact) < TARGET:
                return products
    raise RuntimeError("not reached within 60 products")


def samar_lanczos(tol: float) -> Callable[[nn.Module, Sample], tuple[list[float], int]]:
    def run(model: nn.Module, sample: Sample) -> tuple[list[float], int]:
        found = top_eigenvalues(model, sample, k=K, tol=tol)
        return list(found.values), found.products

    return run


def pyhessian_pairs(model: nn.Module, sample: Sample) -> tuple[list[float], list[Any], int]:
    """Eigenvalues, their vectors, one tensor per parameter, and products."""
    module = sys.modules["pyhessian.hessian"]  # the package hides it behind the class
    count = 0
    original = module.hessian_vector_product

    def counted(*arguments: object) -> object:
        nonlocal count
        count += 1
        return original(*arguments)

    module.hessian_vector_product = counted
    try:
        model.zero_grad()
        solver = PyHessian(model, F.cross_entropy, data=(sample.x, sample.y), cuda=sample.x.is_cuda)
        values, vectors = solver.eigenvalues(maxIter=100, tol=1e-3, top_n=K)
    finally:
        module.hessian_vector_product = original
        model.zero_grad()
    return values, vectors, count


def pyhessian(model: nn.Module, sample: Sample) -> tuple[list[float], int]:
    values, _, products = pyhessian_pairs(model, sample)
    return sorted(values, reverse=True), products


def residual_of_pyhessian(model: nn.Module, sample: Sample) -> float:
    """The largest relative residual of its pairs, by our own products."""
    values, vectors, _ = pyhessian_pairs(copy.deepcopy(model), sample)
    with hessian_of(model, sample) as hessian:
        flats = [torch.cat([part.reshape(-1) for part in each]) for each in vectors]
        pairs = zip(values, flats, strict=True)
        return max(float((hessian @ v - value * v).norm() / abs(value)) for value, v in pairs)


def nngeom(steps: int) -> Callable[[nn.Module, Sample], tuple[list[float], int]]:
    def run(model: nn.Module, sample: Sample) -> tuple[list[float], int]:
        from nngeom.curvature import lanczos_spectrum
        from nngeom.models import Model

        loss = lambda net, batch: F.cross_entropy(net(batch[0]), batch[1])  # noqa: E731
        found = lanczos_spectrum(Model(model.eval(), loss), (sample.x, sample.y), m=steps, seed=0)
        return [float(v) for v in found.eigenvalues[:K]], steps

    return run


def fewest_of_nngeom(model: nn.Module, sample: Sample, ours: int) -> int:
    """The fewest steps after which nngeom's top five are close to what it ends with."""
    final = tuple(nngeom(NNGEOM_MOST)(copy.deepcopy(model), sample)[0])
    for steps in range(max(K, ours - 2), NNGEOM_MOST):
        if error(nngeom(steps)(copy.deepcopy(model), sample)[0], final) < TARGET:
            return steps
    return NNGEOM_MOST


def first_estimates(model: nn.Module, sample: Sample, seeds: int) -> None:
    """Errors of h₁ after few products, over seeds."""
    exact = top_eigenvalues(model, sample, k=1, tol=1e-6).values
    errors: dict[str, list[float]] = {"gradient and random": [], "random": []}
    with hessian_of(model, sample) as hessian:
        for seed in range(seeds):
            drawn = random_normal(hessian.gradient, torch.Generator().manual_seed(seed))
            for who, start in zip(errors, (None, drawn), strict=True):
                found = top_of(
                    hessian, k=1, tol=1e-9, max_products=FIRST_PRODUCTS, start=start, seed=seed
                )
                errors[who].append(error(list(found.values), exact))
    print(f"h₁ after {FIRST_PRODUCTS} products, {seeds} seeds, {len(sample)} images:")
    for who, each in errors.items():
        print(f"  {who:20} wrong by {min(each):.2%} to {max(each):.2%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--nngeom-steps", type=int, help="instead of searching for the fewest")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", action="store_true", help="the first estimate of h1, by start")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    model, sample = subject(options)
    model = model.to(options.device)
    sample = Sample(sample.x.to(options.device), sample.y.to(options.device))
    if options.start:
        first_estimates(model, sample, options.repeats)
        return
    exact = top_eigenvalues(model, sample, k=K, tol=1e-6).values
    fewest = products_to_target(model, sample, exact)
    theirs = residual_of_pyhessian(model, sample)
    as_good = f"samar, tol {theirs:.2g}"
    entrants = {
        "samar, tol 1e-3": samar_lanczos(1e-3),
        as_good: samar_lanczos(theirs),
        "PyHessian, tol 1e-3": pyhessian,
    }
    try:
        import nngeom as _
    except ImportError:
        print("nngeom is not installed and left out")
    else:
        steps = options.nngeom_steps or fewest_of_nngeom(model, sample, fewest)
        entrants[f"nngeom, {steps} steps"] = nngeom(steps)
    seconds: dict[str, list[float]] = {name: [] for name in entrants}
    results = {}
    for _ in range(options.repeats):
        for name, run in entrants.items():
            network = copy.deepcopy(model)
            began = time.perf_counter()
            results[name] = run(network, sample)
            seconds[name].append(time.perf_counter() - began)
    with hessian_of(model, sample) as hessian:
        threads = torch.get_num_threads()
        print(f"{len(hessian)} parameters, {len(sample)} images, {threads} thread(s)")
    print(f"top {K} right to {TARGET:g} after {fewest} products; torch {torch.__version__}")
    print(f"{'':22}{'seconds':>10}{'ratio':>8}{'products':>10}{'error':>10}")
    base = statistics.median(seconds["samar, tol 1e-3"])
    for name, (values, products) in results.items():
        median = statistics.median(seconds[name])
        wrong = error(values, exact)
        print(f"{name:22}{median:10.2f}{base / median:8.2f}{products:10}{wrong:10.1e}")
    equal = [statistics.median(seconds[name]) for name in (as_good, "PyHessian, tol 1e-3")]
    print(f"at PyHessian's largest residual, {theirs:.1%}: {equal[0] / equal[1]:.3f} of its time")


if __name__ == "__main__":
    main()
