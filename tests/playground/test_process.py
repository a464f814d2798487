"""The helper process gives what the optimizers give, and a killed one is replaced."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from samar.playground import descent, process
from samar.playground.settings import PlaygroundSettings

CONFIG = PlaygroundSettings(steps=20, seed=3)
ROOT = Path(__file__).parents[2]


def test_paths_are_those_of_the_optimizers() -> None:
    for name, path in process.descend(CONFIG).items():
        np.testing.assert_equal(vars(path), vars(descent.descend_with(CONFIG, name)))


def test_a_killed_helper_is_replaced() -> None:
    process.descend_with(CONFIG, "sgd")
    process._helpers[-1].kill()
    process._helpers[-1].wait()
    assert not process.running()
    assert process.descend_with(CONFIG, "samar").steps == 20


def test_whoever_asks_loads_no_torch_and_the_helper_ends_with_it() -> None:
    code = """
import sys
from samar.playground import process
from samar.playground.settings import PlaygroundSettings
assert process.descend(PlaygroundSettings(steps=10, optimizers=("samar",)))["samar"].steps == 10
assert not {"torch", "scipy"} & set(sys.modules)
print(process._helpers[-1].pid)
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=True, capture_output=True
    )
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(run.stdout)).wait(timeout=20)
