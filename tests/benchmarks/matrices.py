"""One product with each curvature matrix beside curvlinops 3, on the same network and images.

A ResNet-20 (a checkpoint with --weights, else freshly drawn weights); all in one process, taking
turns; times are medians of the processor's time for products alone, after one that warms up.
"Made anew" keeps no graphs, as for images beyond what memory has room for. With --folding instead:
the Hessian with BatchNorm folded within what is differentiated, and as it is.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/benchmarks/matrices.py [--images 128] [--repeats 7]
        [--weights FILE --dataset NAME] [--folding]
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from operator import matmul
from pathlib import Path

import torch
from torch import Tensor, nn

from samar.curvature import product
from samar.curvature.matrices import MATRICES
from samar.curvature.product import CurvatureMatrix, operator_of
from samar.data.sample import Sample
from tests.benchmarks.hessian import subject

THEIRS = {
    "hessian": "HessianLinearOperator",
    "gauss_newton": "GGNLinearOperator",
    "empirical_fisher": "EFLinearOperator",
}


def seconds(take: Callable[[], Tensor]) -> float:
    started = time.process_time()
    take()
    return time.process_time() - started


def medians(
    contenders: dict[str, Callable[[], Tensor]], repeats: int, warm_up: bool = True
) -> dict[str, float]:
    """Each contender's time, where all take turns."""
    times: dict[str, list[float]] = {who: [] for who in contenders}
    for _ in range(repeats + warm_up):
        for who, take in contenders.items():
            times[who].append(seconds(take))
    return {who: statistics.median(each[warm_up:]) for who, each in times.items()}


def operators(
    stack: ExitStack, name: str, net: nn.Module, sample: Sample
) -> dict[str, CurvatureMatrix]:
    """One that keeps its graphs and one that makes them anew."""
    found, room = {}, product.KEPT_BYTES
    for who, most in (("kept", room), ("made anew", 0)):
        product.KEPT_BYTES = most
        found[who] = stack.enter_context(operator_of(MATRICES[name], net, sample))
    product.KEPT_BYTES = room
    return found


class Unfolded(Sample):
    """The same images, for which no other network may stand in."""

    plain = False

    def laid_out(self, layout: torch.memory_format) -> Sample:
        """The same images in another layout."""
        return Unfolded(self.x.contiguous(memory_format=layout), self.y)


def folding(net: nn.Module, sample: Sample, repeats: int) -> None:
    """What folding saves of a product's time and of a graph's memory."""
    contenders, graphs = {}, {}
    with ExitStack() as stack:
        for how, kind in (("folded", Sample), ("as it is", Unfolded)):
            for who, each in operators(stack, "hessian", net, kind(sample.x, sample.y)).items():
                v = torch.randn(len(each), generator=torch.Generator().manual_seed(0))
                contenders[f"{who}, {how}"] = partial(matmul, each, v)
                if each.kept:
                    graphs[how] = each._graphs[0].bytes
        times = medians(contenders, repeats)
    for who in ("kept", "made anew"):
        one, other = times[f"{who}, folded"], times[f"{who}, as it is"]
        ratio = one / other
        print(f"  {who:10} folded {1e3 * one:.0f} ms, as it is {1e3 * other:.0f} ms: {ratio:.2f}")
    shown = ", ".join(f"{how} {size / 1e6:.0f} MB" for how, size in graphs.items())
    print(f"  a graph of {min(64, len(sample))} images: {shown}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--folding", action="store_true", help="what folding BatchNorm saves")
    parser.add_argument("--dataset", default="cifar10")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import curvlinops

    torch.manual_seed(0)
    net, sample = subject(options)
    data = list(sample.batches(64))
    print(f"ResNet-20, {len(sample)} images, {torch.get_num_threads()} threads")
    if options.folding:
        folding(net.eval(), sample, options.repeats)
        return
    for name in MATRICES:
        with ExitStack() as stack:
            ours = operators(stack, name, net.eval(), sample)
            v = torch.randn(len(ours["kept"]))
            contenders = {who: partial(matmul, m, v) for who, m in ours.items()}
            if name in THEIRS:
                theirs = getattr(curvlinops, THEIRS[name])(
                    *(net, nn.CrossEntropyLoss(), list(net.parameters()), data),
                    check_deterministic=False,
                )
                contenders["curvlinops"] = partial(matmul, theirs, v)
            mine = contenders["kept"]()
            apart = [float((take() - mine).norm() / mine.norm()) for take in contenders.values()]
            times = medians(contenders, options.repeats)
        last = [*times][-1]
        shown = ", ".join(f"{who} {1e3 * each:.0f} ms" for who, each in times.items())
        ratio = f"kept / {last} {times['kept'] / times[last]:.2f}"
        print(f"  {name:18} {shown}; {ratio}; apart by {max(apart):.0e} at most", flush=True)


if __name__ == "__main__":
    main()
