"""What the device module decides, and that whoever computes asks it."""

import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from samar.curvature.product import hessian_of
from samar.curvature.solvers import krylov
from samar.curvature.solvers.eigenvalues import top_of
from samar.data.evaluation import evaluate
from samar.data.sample import Sample
from samar.device import compiling, placement, precision, randomness, waiting
from samar.device.placement import Placement, measuring_device
from samar.device.precision import bf16_pays
from samar.device.ranks import join
from samar.errors import ConfigError
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.frame import weights_of
from samar.models.build import build_model
from samar.models.catalog import MODELS
from samar.networks.normalization import try_normalizations
from samar.training import trainer as trainer_module
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

CPU, CUDA, MPS = (torch.device(kind) for kind in ("cpu", "cuda", "mps"))
SMALL: dict[str, Any] = {"images_per_class": 13, "batch_size": 32, "epochs": 3, "device": "cpu"}


def operations() -> list[str]:
    """What float32 is multiplied in, operation by operation."""
    b = torch.backends
    each = (b.cuda.matmul, b.cudnn.conv, b.cudnn.rnn, b.mkldnn.matmul, b.mkldnn.conv)
    return [operation.fp32_precision for operation in each]


@pytest.fixture(params=["new", "old"])
def loose(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """A process in which float32 may be multiplied in fewer digits, set either way."""
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip("this PyTorch has no settings per operation")
    before = operations()
    b = torch.backends
    if request.param == "new":
        b.cuda.matmul.fp32_precision = b.cudnn.conv.fp32_precision = "tf32"
    else:
        torch.set_float32_matmul_precision("medium")
    yield operations()
    torch.set_float32_matmul_precision("highest")
    each = (b.cuda.matmul, b.cudnn.conv, b.cudnn.rnn, b.mkldnn.matmul, b.mkldnn.conv)
    for operation, value in zip(each, before, strict=True):
        operation.fp32_precision = value


class Spy(nn.Module):
    """Passes on what comes, and notes how float32 is multiplied meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.seen: list[list[str]] = []

    def __deepcopy__(self, memo: Any) -> "Spy":
        other = Spy()
        other.seen = self.seen
        return other

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if bool(x.isfinite().all()):  # a branch, so that it is called and not traced
            self.seen.append(operations())
        return x.flatten(1)[:, :10] * self.weight


@pytest.mark.parametrize("what", ["evaluate", "landscape", "hessian", "normalization"])
def test_what_claims_digits_is_measured_in_full_float32(loose: list[str], what: str) -> None:
    data, spy = dataset_of(TrainSettings(**SMALL)), Spy()
    sample = Sample.of(data.train, data.normalization, 8)
    if what == "evaluate":
        evaluate(spy, data.test, data.normalization)
    elif what == "landscape":
        Evaluator(spy, sample, chunk=8).at(weights_of(spy))
    elif what == "hessian":
        with hessian_of(spy, sample) as hessian:
            _ = hessian @ hessian.gradient
    else:
        try_normalizations(spy.eval(), data, images=40)
    assert spy.seen
    assert {word for words in spy.seen for word in words} == {"ieee"}
    assert operations() == loose


def test_bf16_is_taken_where_it_is_known_to_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    pays = {name for name, info in MODELS.items() if bf16_pays(CUDA, info.macs)}
    assert {"resnet18", "wrn-28-10", "wrn-16-4"} <= pays
    assert not {"cnn", "resnet20", "resnet56"} & pays
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert not bf16_pays(CUDA, 10**10)
    assert not bf16_pays(MPS, 10**10)
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    monkeypatch.setattr(precision, "multiplies_bf16", lambda: False)
    assert not bf16_pays(CPU, 10**10)
    monkeypatch.setattr(precision, "multiplies_bf16", lambda: True)
    assert bf16_pays(CPU, MODELS["resnet20"].macs)
    assert not bf16_pays(CPU, MODELS["cnn"].macs_at(8))


def test_bf16_that_is_not_there_is_fp32_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (placement, precision):
        monkeypatch.setattr(module, "has_bf16", lambda device: False)
    found = Placement.choose("cpu", "bf16", 1)
    assert (found.autocast_dtype, found.precision) == (None, "fp32")
    assert found.note == "This processor does not compute in bf16; fp32 was taken instead."
    assert Placement.choose("cpu", "auto", 10**9).note == ""
    with found.autocast():
        assert not torch.is_autocast_enabled("cpu")


def test_where_stored_networks_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert placement.device_of("auto") == MPS
    assert measuring_device() == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert measuring_device() == placement.device_of("auto") == CUDA
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device is 'mps', but this machine has none"):
        placement.device_of("mps")


@pytest.mark.parametrize("device", [CUDA, MPS])
def test_the_random_state_of_a_gpu_is_kept_too(
    monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    own = [torch.tensor([1], dtype=torch.uint8)]
    module = getattr(torch, device.type)
    monkeypatch.setattr(module, "get_rng_state", lambda *_: own[0])
    monkeypatch.setattr(module, "set_rng_state", lambda state, *_: own.__setitem__(0, state))
    with randomness.kept_random_state(device):
        own[0] = torch.tensor([2], dtype=torch.uint8)
        torch.rand(3)
    assert own[0].item() == 1


def test_the_time_of_a_step_is_the_device_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that runs ahead would measure the launches, here none at all."""

    class Event:
        clock = 0.0

        def __init__(self, device: str, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            Event.clock += 7.0
            self.at = Event.clock

        def elapsed_time(self, other: "Event") -> float:
            return other.at - self.at

    settings = TrainSettings(**SMALL)
    trainer = Trainer(settings, dataset_of(settings))
    monkeypatch.setattr(torch, "Event", Event)
    monkeypatch.setattr(waiting, "_TIMED", ("cpu",))
    monkeypatch.setattr(trainer_module, "synchronize", lambda device: None)
    for _ in range(3):
        trainer.step()
    assert trainer.seconds == 0.0  # nobody knows before the device has been waited for
    seconds = [record.seconds for record in trainer.drain()]
    assert seconds == pytest.approx([0.007, 0.014, 0.021])
    assert trainer.seconds == pytest.approx(0.021)


def test_eigenvalues_from_vectors_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The products on a device, the basis on the host: the same numbers."""
    from tests.device_double import DEVICE, Double

    network, data = build_model("cnn", channels=1).eval(), dataset_of(TrainSettings(**SMALL))
    sample = Sample.of(data.train, data.normalization, 32)
    with hessian_of(network, sample) as hessian:
        expected = top_of(hessian, k=2, tol=1e-2)
    monkeypatch.setattr(krylov, "BASIS_SHARE", 0.0)
    with Double():
        there = network.to(DEVICE)
        images = Sample(sample.x.to(DEVICE), sample.y.to(DEVICE))
        with hessian_of(there, images) as hessian:
            found = top_of(hessian, k=2, tol=1e-2)
            assert found.vectors.device == DEVICE
    assert found.values == pytest.approx(expected.values, rel=1e-4)
    assert found.products == expected.products


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_no_compiler_is_a_sentence(monkeypatch: pytest.MonkeyPatch, device: torch.device) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(compiling, "find_spec", lambda name: None)
    wanted = "a C++ compiler" if device == CPU else "the package triton"
    assert compiling.compiler_problem(device).startswith(f"compile needs {wanted}")
    assert compiling.compiler_problem(MPS) == ""
    monkeypatch.setattr(compiling, "find_spec", lambda name: name)
    monkeypatch.delenv("CC", raising=False)
    assert "a C compiler on a GPU too" in compiling.compiler_problem(CUDA)
    if device == CPU:
        settings = TrainSettings(compile=True, **SMALL)
        with pytest.raises(ConfigError, match="switch compile off"):
            Trainer(settings, dataset_of(settings))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # within PyTorch
def test_a_compiled_run_is_the_eager_one() -> None:
    """Two passes, BatchNorm once a step, λ, a change of the policy, and a resume."""
    if compiling.compiler_problem(CPU):
        pytest.skip(compiling.compiler_problem(CPU))
    eager, compiled = (_run(compile=each) for each in (False, True))
    for one, other in zip(compiled, eager, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6, nan_ok=True)


def _run(compile: bool) -> list[tuple[float, ...]]:
    settings = TrainSettings(optimizer="samar", second_pass="always", compile=compile, **SMALL)
    data = dataset_of(settings)
    first = Trainer(settings, data)
    before = {name: t.clone() for name, t in first.model.state_dict().items()}
    drawn = torch.get_rng_state()
    seconds = first.warm_up()
    assert (seconds > 0) is compile
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(t, before[name]) for name, t in first.model.state_dict().items())
    for _ in range(3):
        first.step()
    records = first.drain()
    second = Trainer(settings, data)
    second.load_state_dict(first.state_dict())
    second.change(second_pass="late", begin=0.0)
    for _ in range(3):
        second.step()
    records += second.drain()
    seen = {int(b) for n, b in second.model.named_buffers() if n.endswith("num_batches_tracked")}
    assert seen == {6}
    last = second.evaluate_epoch()
    assert all(math.isfinite(record.loss) for record in records)
    return [(r.loss, r.perturbed_loss, r.lam, r.ratio, float(r.grad_evals)) for r in records] + [
        (last.train_loss, last.test_loss)
    ]


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE"])
@pytest.mark.parametrize("on_gpu", [True, False])
def test_a_script_without_torchrun_is_told_of_it(
    monkeypatch: pytest.MonkeyPatch, missing: str, on_gpu: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: on_gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    place = {"RANK": "0", "WORLD_SIZE": "1"}
    for name in place:
        monkeypatch.delenv(name, raising=False)
    del place[missing]
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"{missing} is not set, .*; start the script with torch"):
        join()


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="the variables are x86's"
)
def test_a_processor_without_avx_512_computes_in_fp32() -> None:
    """The two variables make oneDNN and PyTorch behave as they do there."""
    code = """
import torch
from samar.data.sample import Sample
from samar.device.precision import has_bf16, multiplies_bf16
from samar.landscapes.frame import weights_of
from samar.landscapes.evaluator import Evaluator
from samar.models.build import build_model
assert not has_bf16(torch.device("cpu")) and not multiplies_bf16()
network = build_model("resnet20").eval()
sample = Sample(torch.randn(8, 3, 32, 32), torch.arange(8))
found = Evaluator(network, sample, precision="bf16", chunk=8)
assert found.precision == "fp32"
assert found.at(weights_of(network)) == Evaluator(network, sample, chunk=8).at(weights_of(network))
"""
    old = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    subprocess.run([sys.executable, "-c", code], env=old, check=True, timeout=240)
