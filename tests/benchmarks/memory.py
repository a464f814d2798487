"""Peak memory: a landscape's by the points of its grid, a Hessian's by the number of its images.

Each measurement is a process of its own, because the largest resident size of a process never
shrinks. What is left after that of a process that only imports and builds is printed in MiB.

    PYTHONPATH=. python tests/benchmarks/memory.py [--model resnet20] [--size 32]
"""

import argparse
import subprocess
import sys


def landscape(model: str, size: int, points: int) -> None:
    import torch

    from samar.data.sample import Sample
    from samar.landscape.evaluator import Evaluator
    from samar.landscape.frame import random_frame
    from samar.landscape.grid import Grid
    from samar.landscape.sampler import Sampler
    from samar.models.build import build_model

    network = build_model(model).eval()
    sample = Sample(torch.randn(128, 3, size, size), torch.arange(128) % 10)
    if points:
        evaluator = Evaluator(network, sample, chunk=64)
        grid = Grid([(-1, 1)] * 2, points)
        list(Sampler(random_frame(network), evaluator, grid).levels())


def hessian(model: str, size: int, images: int) -> None:
    import torch

    from samar.curvature.eigenvalues import top_eigenvalues
    from samar.data.sample import Sample
    from samar.models.build import build_model

    network = build_model(model).eval()
    if images:
        sample = Sample(torch.randn(images, 3, size, size), torch.arange(images) % 10)
        top_eigenvalues(network, sample, k=1, tol=0.5, max_products=3)


TASKS = {"landscape": landscape, "hessian": hessian}


def peak(task: str, model: str, size: int, amount: int) -> float:
    """Largest resident size of a process that does one task, in MiB."""
    code = (
        "import resource\n"
        "from tests.benchmarks.memory import TASKS\n"
        f"TASKS[{task!r}]({model!r}, {size}, {amount})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--size", type=int, default=32)
    options = parser.parse_args()
    for task, amounts in (("landscape", (5, 9, 17)), ("hessian", (64, 256, 512, 1024))):
        base = peak(task, options.model, options.size, 0)
        for amount in amounts:
            used = peak(task, options.model, options.size, amount) - base
            what = "points an axis" if task == "landscape" else "images"
            print(f"{task:10} {amount:5} {what:15} {used:8.0f} MiB")


if __name__ == "__main__":
    main()
