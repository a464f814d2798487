"""Seconds that importing samar takes beyond importing torch.

Each line runs in fresh processes that have imported torch first, and prints the median. ``-X
importtime`` would miss most of it: it does not see what a name loads when it is first used. Run on
demand:

    python -m tests.benchmarks.imports [--times 9]
"""

import argparse
import statistics
import subprocess
import sys

TARGET = 0.2
"""Seconds for ``from samar import SAMAR``."""

STATEMENTS = (
    "import samar",
    "from samar import SAMAR",
    "from samar import line, plane",
    "from samar import top_eigenvalues",
    "from samar import train",
    "from samar.jobs.store import Store",
)


def seconds(statement: str, *, before: str = "import torch") -> float:
    """What a statement takes in a fresh process."""
    code = (
        f"{before}\nfrom time import perf_counter\nbegan = perf_counter()\n{statement}\n"
        "print(perf_counter() - began)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Print one line per statement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=9, help="processes per statement")
    times = parser.parse_args().times
    torch = statistics.median(seconds("import torch", before="") for _ in range(times))
    print(f"{'import torch':40s} {torch:6.3f} s")
    for statement in STATEMENTS:
        taken = statistics.median(seconds(statement) for _ in range(times))
        print(f"{statement:40s} {taken:6.3f} s beyond torch")
    print(f"The target for SAMAR is {TARGET} s.")


if __name__ == "__main__":
    main()
