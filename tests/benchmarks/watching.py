"""What watching costs a training step, without looks: ResNet-20, the same loop with and without.

python -m tests.benchmarks.watching            # ratio of medians, both in turns
"""

import os
import statistics
import tempfile
import time

import torch
import torch.nn.functional as F

import samar


def loop(network: torch.nn.Module, optimizer: torch.optim.Optimizer, run: object, n: int) -> list:
    """Seconds of each of n steps."""
    times = []
    for _ in range(n):
        x, y = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
        began = time.perf_counter()
        optimizer.zero_grad()
        loss = F.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        if run is not None:
            run.step(loss)  # type: ignore[attr-defined]
        times.append(time.perf_counter() - began)
    return times


def main(rounds: int = 8, steps: int = 12) -> None:
    """Print the median step without and with a watch, and their ratio."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with tempfile.TemporaryDirectory() as home:
        os.environ["SAMAR_HOME"] = home
        network = samar.build_model("resnet20")
        alone, optimizer = (  # the second has a hook
            torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9) for _ in range(2)
        )
        loop(network, alone, None, 3)
        plain, watched = [], []
        with samar.watch(network, optimizer, quiet=True) as run:
            for _ in range(rounds):
                plain += loop(network, alone, None, steps)
                watched += loop(network, optimizer, run, steps)
    a, b = statistics.median(plain), statistics.median(watched)
    print(f"step {1e3 * a:.1f} ms, watched {1e3 * b:.1f} ms: ratio {b / a:.4f}")
    a, b = statistics.fmean(plain), statistics.fmean(watched)
    print(f"means {1e3 * a:.1f} ms and {1e3 * b:.1f} ms: ratio {b / a:.4f}")


if __name__ == "__main__":
    main()
