"""The day that a GPU is there: tests, benchmarks and the paper's preset in one run, one report.

Each part is a process of its own with a time limit; one that fails is noted, and the next begins.
``--rehearse`` takes the same way on a CPU with as little work as possible, so that on the day
nothing fails for a silly reason.

    PYTHONPATH=. python -m tests.benchmarks.gpu_day [--rehearse] [--report FILE]
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch

from samar import __version__
from samar.device.catalog import AUTO, CPU
from samar.device.placement import described, device_of

LIMIT_SECONDS = 1800
ROOT = Path(__file__).parents[2]
REHEARSAL = "SAMAR_REHEARSE_GPU"
"""Environment variable under which tests marked cuda run on the CPU."""


class Part(NamedTuple):
    """One step of the day: what it is called, and what to run on a GPU and in a rehearsal."""

    title: str
    command: tuple[str, ...]
    rehearsal: tuple[str, ...]


def parts(device: str) -> list[Part]:
    """Everything, in order."""
    script = "tests.benchmarks."
    on = ("--device", device)
    few = ("--model", "cnn", "--size", "8")
    return [
        Part(
            "Tests marked cuda",
            ("pytest", "-q", "-n0", "-m", "cuda"),
            ("pytest", "-q", "-n0", "-m", "cuda"),
        ),
        Part(
            "Loop against bare passes",
            (script + "training_throughput", "--rounds", "15", "--steps", "30"),
            (script + "training_throughput", "--rounds", "1", "--steps", "1"),
        ),
        Part(
            "What a step costs besides its gradients",
            (script + "optimizer_overhead", *on),
            (script + "optimizer_overhead", *on, "--repeats", "2"),
        ),
        Part("bf16 against fp32", (script + "precision",), (script + "precision", "--quick")),
        Part(
            "Plane against the naive loop",
            (script + "landscape", *on),
            (script + "landscape", *on, "--quick"),
        ),
        Part(
            "Eigenvalues against PyHessian",
            (script + "hessian", *on),
            (script + "hessian", *on, "--images", "16", "--repeats", "1"),
        ),
        Part("Memory", (script + "memory", "--gpu"), (script + "memory", *few)),
        Part("Compiled against eager", (script + "compile", *on), (script + "compile", "--quick")),
        Part(
            "The paper's preset, some steps of each arm",
            (script + "paper", *on, "--batch", "128", "--steps", "20"),
            (script + "paper", *on, "--batch", "2", "--steps", "1", "--arms", "2"),
        ),
    ]


def run(command: tuple[str, ...], rehearse: bool) -> tuple[int, str, float]:
    """Exit code, output and seconds of a module."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if rehearse:
        environment[REHEARSAL] = "1"
    started = time.monotonic()
    try:
        found = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        return -1, f"{said}\nstopped after {LIMIT_SECONDS} s", time.monotonic() - started
    return found.returncode, found.stdout, time.monotonic() - started


def main() -> int:
    """Write the report; 0 where every part ran."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rehearse", action="store_true", help="on a CPU, as little as possible")
    parser.add_argument("--report", type=Path, default=Path("gpu-day.md"))
    parser.add_argument("--only", help="parts whose title holds this")
    options = parser.parse_args()
    device = device_of(CPU if options.rehearse else AUTO)
    if device.type == CPU and not options.rehearse:
        print("There is no GPU here; use --rehearse to try the way on a CPU.", file=sys.stderr)
        return 2
    lines = [
        f"# A day on {described(device)}",
        "",
        f"samar {__version__}, torch {torch.__version__}, {time.strftime('%Y-%m-%d %H:%M')}"
        + (", a rehearsal: no figure here counts" if options.rehearse else ""),
    ]
    failed = []
    for part in parts(device.type):
        if options.only and options.only.lower() not in part.title.lower():
            continue
        command = part.rehearsal if options.rehearse else part.command
        print(f"{part.title}…", flush=True)
        code, said, seconds = run(command, options.rehearse)
        if code:
            failed.append(part.title)
        state = f"failed with {code}" if code else "done"
        lines += ["", f"## {part.title}", "", f"`{' '.join(command)}`: {state} in {seconds:.0f} s"]
        lines += ["", "```", said.strip(), "```"]
        options.report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"The report is in {options.report}; failed: {', '.join(failed) or 'nothing'}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
