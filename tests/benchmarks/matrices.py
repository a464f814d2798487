"""One product with each curvature matrix beside curvlinops 3, on the same network and images.

A ResNet-20 with drawn weights; both in one process, taking turns; times are medians, of products
alone, after one that warms up.

    PYTHONPATH=. python tests/benchmarks/matrices.py [--images 128] [--repeats 5]
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from operator import matmul

import torch
from torch import Tensor, nn

from samar.curvature.matrices import MATRICES
from samar.curvature.product import operator_of
from samar.data.sample import Sample
from samar.models.build import build_model

THEIRS = {
    "hessian": "HessianLinearOperator",
    "gauss_newton": "GGNLinearOperator",
    "empirical_fisher": "EFLinearOperator",
}


def seconds(product: Callable[[], Tensor]) -> float:
    started = time.perf_counter()
    product()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import curvlinops
    torch.manual_seed(0)
    net = build_model("resnet20").eval()
    n = options.images
    sample = Sample(torch.randn(n, 3, 32, 32), torch.randint(10, (n,)))
    data = list(sample.batches(64))
    print(f"ResNet-20, {n} images, {torch.get_num_threads()} threads")
    for name, other in THEIRS.items():
        theirs = getattr(curvlinops, other)(
            net, nn.CrossEntropyLoss(), list(net.parameters()), data, check_deterministic=False
        )
        with operator_of(MATRICES[name], net, sample) as ours:
            v = torch.randn(len(ours))
            contenders = {
                who: partial(matmul, m, v) for who, m in (("ours", ours), ("theirs", theirs))
            }
            difference = (contenders["ours"]() - contenders["theirs"]()).norm() / v.norm()
            times: dict[str, list[float]] = {who: [] for who in contenders}
            for _ in range(options.repeats):
                for who, product in contenders.items():
                    times[who].append(seconds(product))
        mine, other_time = (statistics.median(times[who]) for who in ("ours", "theirs"))
        print(
            f"  {name:18} {1e3 * mine:7.0f} ms  curvlinops {1e3 * other_time:7.0f} ms  "
            f"ratio {mine / other_time:.2f}  difference {difference:.0e}"
        )


if __name__ == "__main__":
    main()
