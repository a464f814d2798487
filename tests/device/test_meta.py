"""Walked on the ``meta`` device, where a tensor has no value and mixing with the CPU raises.

Nothing here proves a number. A forgotten transfer or a hidden wait raises; what may wait does so in
``on_host`` alone, which gives ones for what has no value.
"""

import ast
from pathlib import Path
from typing import Any

import pytest
import torch

from samar.curvature.product import hessian_of
from samar.curvature.solvers.eigenvalues import top_of
from samar.curvature.solvers.trace import hessian_trace
from samar.data.evaluation import evaluate
from samar.data.sample import Sample
from samar.device import placement, waiting
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.frame import random_frame, weights_of
from samar.models.build import build_model
from samar.optim.catalog import OPTIMIZERS
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

META = torch.device("meta")
ROOT = Path(__file__).parents[2]
MODELS = ["cnn", "resnet20", "resnet18", "wrn-16-4"]
SMALL: dict[str, Any] = {"images_per_class": 13, "batch_size": 32, "epochs": 2}


@pytest.fixture(autouse=True)
def _on_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "device_of", lambda name: META)


def sample(images: int = 6, channels: int = 3, size: int = 32) -> Sample:
    with META:
        return Sample(torch.empty(images, channels, size, size), torch.zeros(images).long())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_with_no_value_known(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(
        TrainSettings(optimizer=optimizer, **SMALL), dataset_of(TrainSettings(**SMALL))
    )
    asked: list[torch.Tensor] = []
    known = waiting.on_host
    monkeypatch.setattr(waiting, "on_host", lambda t: (asked.append(t), known(t))[1])
    trainer.step()
    trainer.step()
    assert all(t.dim() == 0 for t in asked)  # λ on its way to the host, which is not waited for
    assert len(asked) <= 2
    records = trainer.drain()
    assert [record.loss for record in records] == [1.0, 1.0]
    record = trainer.evaluate_epoch()
    assert (record.test_loss, record.test_accuracy) == (1.0, 1.0)


@pytest.mark.parametrize("name", MODELS)
def test_an_evaluation_and_a_landscape_point(name: str) -> None:
    network = build_model(name).to(META)
    data = dataset_of(TrainSettings(**SMALL)).to(META)
    assert Evaluator(network, sample(), chunk=4).at(weights_of(network)).loss == 1.0
    recalibrated = Evaluator(network, sample(), chunk=4, batchnorm="recalibrate")
    frame = random_frame(network)
    assert recalibrated.at(frame.at((0.5, -0.5))).accuracy == 1.0
    assert frame.describe()["weight_norm"] == 1.0
    if name == "cnn":
        grey = build_model(name, channels=1).to(META)
        assert evaluate(grey, data.test, data.normalization).images == len(data.test)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("name", ["cnn", "resnet20"])
def test_a_hessian_product_eigenvalues_and_a_trace_sample(
    name: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept:
        monkeypatch.setattr("samar.curvature.product.KEPT_BYTES", 0)
        monkeypatch.setattr("samar.curvature.product.KEPT_SHARE", 0)
    with hessian_of(build_model(name).to(META), sample(), batch_size=4) as hessian:
        assert (hessian @ hessian.gradient).device == META
        if kept:
            hessian_trace(hessian, products=6)
            assert top_of(hessian, k=1, tol=0.5, max_products=2).products == 2


def test_a_forgotten_transfer_or_a_hidden_wait_would_raise() -> None:
    """Without this no other test here could fail."""
    there = torch.ones(3, device=META)
    with pytest.raises(RuntimeError, match="device"):
        there + torch.ones(3)
    for wait in (lambda: there.sum().item(), lambda: bool(there[0] > 0), there.cpu, there.numpy):
        with pytest.raises((RuntimeError, NotImplementedError, TypeError)):
            wait()


WAITING = {"cpu", "item", "numpy", "tolist"}
HOST_SIDE = {
    "landscapes/frame.py": {"tolist"},  # numpy arrays
    "landscapes/grid.py": {"tolist"},
    "landscapes/sampler.py": {"tolist", "numpy"},
    "landscapes/export.py": {"tolist"},
    "landscapes/result.py": {"tolist"},
    "landscapes/trajectory.py": {"tolist"},
    "landscapes/merge_tree.py": {"tolist"},
    "landscapes/samples.py": {"tolist", "numpy"},
    "landscapes/images.py": {"tolist"},
    "landscapes/losses.py": {"tolist"},
    "curvature/eigenvalues.py": {"tolist"},
    "curvature/result.py": {"tolist"},
    "curvature/held_out.py": {"tolist"},
    "curvature/matrices.py": {"tolist"},
    "training/observer.py": {"tolist", "numpy"},
    "training/observing.py": {"tolist", "cpu"},
}
"""Where the same words are said of what lies on the CPU."""


@pytest.mark.parametrize("part", ["optim", "landscapes", "curvature", "training", "models"])
def test_values_come_by_one_way(part: str) -> None:
    """Every ``.cpu()``, ``.item()``, ``.numpy()``, ``.tolist()`` is said of what is on the host."""
    files = sorted((ROOT / "samar" / part).rglob("*.py"))
    assert files
    for path in files:
        source = path.read_text(encoding="utf-8")
        allowed = HOST_SIDE.get(f"{part}/{path.name}", set())
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            word = node.func.attr
            if word not in WAITING or word in allowed:
                continue
            around = " ".join(lines[max(0, node.lineno - 7) : node.lineno])
            assert "on_host(" in around, f"{path}:{node.lineno} says {word}"
