"""A processor without AVX-512: bf16 that is asked for there is fp32, said so, on every path.

The two environment variables make oneDNN and PyTorch behave as they do there.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="the variables are x86's"
)
OLD = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
NOTE = "This processor does not compute in bf16; fp32 was taken instead."
FEW = ("--images-per-class", "13", "--epochs", "1", "--film-every", "0", "--curvature-every", "0")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("old")


def samar(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **OLD, "SAMAR_HOME": str(home), "SAMAR_SPARE": "0"}
    command = [sys.executable, "-m", "samar", *words]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr
    return found


@pytest.fixture(scope="module")
def trained(home: Path) -> str:
    """The id of a run that was to train in bf16."""
    found = samar(home, "train", *FEW, "--precision", "bf16")
    assert NOTE in found.stderr
    run = json.loads(samar(home, "runs", "--json").stdout)[0]
    assert json.loads(samar(home, "show", run["id"]).stdout)["device"].startswith("cpu, fp32")
    return str(run["id"])


def test_training_and_evaluating(home: Path, trained: str) -> None:
    found = samar(home, "evaluate", trained, "--images", "64", "--json")
    assert json.loads(found.stdout)["images"] == 64


@pytest.mark.parametrize("more", [("--precision", "bf16"), ("--preview",)])
def test_a_landscape_and_its_preview(home: Path, trained: str, more: tuple[str, ...]) -> None:
    words = ("landscape", trained, "--points", "5", "--images", "64", *more)
    found = samar(home, *words)
    assert "loss" in found.stdout
    assert (NOTE in found.stderr) == ("bf16" in more)


def test_the_library() -> None:
    code = """
import torch
from samar.data.sample import Sample
from samar.device.precision import has_bf16, multiplies_bf16
from samar.landscapes.directions import weights_of
from samar.landscapes.evaluator import Evaluator
from samar.models.build import build_model
assert not has_bf16(torch.device("cpu")) and not multiplies_bf16()
network = build_model("resnet20").eval()
sample = Sample(torch.randn(8, 3, 32, 32), torch.arange(8))
found = Evaluator(network, sample, precision="bf16", chunk=8)
assert found.precision == "fp32"
assert found.at(weights_of(network)) == Evaluator(network, sample, chunk=8).at(weights_of(network))
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **OLD}, check=True, timeout=240)


@pytest.mark.parametrize("script", ["landscape", "precision"])
def test_the_benchmarks_that_offer_it(script: str) -> None:
    """They say what they take in its place, and have a switch to be tried quickly."""
    command = [sys.executable, "-W", "ignore", "-m", f"tests.benchmarks.{script}", "--quick"]
    root = Path(__file__).parents[2]
    found = subprocess.run(
        command, env={**os.environ, **OLD}, cwd=root, capture_output=True, text=True, timeout=240
    )
    assert found.returncode == 0, found.stderr
    assert "fp32 in its place" in found.stdout
