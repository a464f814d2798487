"""On a real GPU: everything that the double and the walk on meta can only prepare.

``python -m tests.benchmarks.gpu_day`` runs them with the benchmarks; ``--rehearse`` on the CPU.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch

from samar.curvature.solvers.eigenvalues import top_eigenvalues
from samar.data.evaluation import evaluate
from samar.data.sample import Sample
from samar.device.memory import free_bytes
from samar.jobs.records import CURVATURE, PLANE
from samar.jobs.service import Jobs
from samar.jobs.training_records import EpochRecord
from samar.landscapes.frame import random_frame
from samar.landscapes.sampler import plane
from samar.models.catalog import model_info
from samar.optim.catalog import OPTIMIZERS
from samar.training.loop import dataset_of, train
from samar.training.observer import Moment, Observer, Result
from samar.training.observing import facts_of, subject_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer
from tests.optim import test_ranks as ranks
from tests.waiting import wait

pytestmark = pytest.mark.cuda
SMALL: dict[str, Any] = {"images_per_class": 13, "batch_size": 32, "epochs": 3}
NeverWaiting = Callable[[], Any]


def settings_on(gpu: torch.device, **values: Any) -> TrainSettings:
    return TrainSettings(**{**SMALL, "device": gpu.type, **values})


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_step_of_a_run_waits(
    gpu: torch.device, optimizer: str, never_waiting: NeverWaiting
) -> None:
    settings = settings_on(gpu, optimizer=optimizer, augment="crop_flip_cutout")
    trainer = Trainer(settings, dataset_of(settings))
    for _ in range(3):
        trainer.step()
    with never_waiting():
        trainer.step()
    assert len(trainer.drain()) == 4
    assert 0 < trainer.seconds < 60


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns(gpu: torch.device, precision: str) -> None:
    settings = settings_on(gpu, precision=precision, epochs=30)
    last = list(train(settings, dataset_of(settings)))[-1]
    assert isinstance(last, EpochRecord)
    assert last.train_accuracy > 0.8


@pytest.fixture
def pair(gpu: torch.device) -> tuple[Trainer, Trainer]:
    """The same trained network on the CPU and on the GPU."""
    settings = settings_on(gpu).changed(device="cpu")
    here = Trainer(settings, dataset_of(settings))
    while not here.finished:
        here.step()
        here.drain()
    there = Trainer(settings_on(gpu), dataset_of(settings))
    there.model.load_state_dict(here.model.state_dict())
    return here, there


def test_measurements_are_those_of_the_cpu(pair: tuple[Trainer, Trainer]) -> None:
    """Also where the process allows TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        evaluations, surfaces, values = [], [], []
        axes = random_frame(pair[0].model, seed=1).axes
        for trainer in pair:
            data, device = trainer.dataset, trainer.placement.device
            sample = Sample.of(data.train, data.normalization, 64)
            directions = [[tensor.to(device) for tensor in axis] for axis in axes]
            evaluations.append(evaluate(trainer.model, data.test, data.normalization))
            surfaces.append(plane(trainer.model, sample, directions, points=5))
            values.append(top_eigenvalues(trainer.model, sample, k=2, tol=1e-3).values)
    finally:
        torch.set_float32_matmul_precision(before)
    assert evaluations[1].loss == pytest.approx(evaluations[0].loss, rel=1e-5)
    assert abs(evaluations[1].correct - evaluations[0].correct) <= 1
    assert surfaces[1].loss == pytest.approx(surfaces[0].loss, rel=1e-3)
    assert values[1] == pytest.approx(values[0], rel=1e-2)


def seen_as(trainer: Trainer) -> Any:
    """A trainer as its observer sees it."""
    return SimpleNamespace(
        network=trainer.model, optimizer=trainer.optimizer, plain_lr=trainer.lr, work=None
    )


def test_an_observer_there_measures_what_one_here_does(
    pair: tuple[Trainer, Trainer], never_waiting: NeverWaiting
) -> None:
    planes, values = [], []
    for trainer in pair:
        found: list[Result] = []
        subject = subject_of(trainer)
        with never_waiting():
            member = facts_of(0, seen_as(trainer))
        observer = Observer(cloudpickle.loads(subject.parts), subject, found.append)
        observer.observe(Moment(trainer.step_count, [member()]))
        by_kind = {result.kind: result.detail for result in found}
        planes.append(by_kind[PLANE]["loss"])
        values.append(by_kind[CURVATURE]["values"][0])
    np.testing.assert_allclose(planes[1], planes[0], rtol=1e-3)
    assert values[1] == pytest.approx(values[0], rel=0.05)


def test_a_live_run_is_killed_and_goes_on(gpu: torch.device, jobs: Jobs) -> None:
    settings = settings_on(gpu, epochs=2000, checkpoint_seconds=0.2)
    run = wait(jobs, jobs.submit(settings), lambda run: run.done > 20)
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    wait(jobs, run.id, lambda run: run.status == "interrupted")
    jobs.resume(run.id)
    wait(jobs, run.id, lambda again: again.status == "running" and again.done > run.done)
    jobs.stop(run.id)
    wait(jobs, run.id, lambda run: run.status == "stopped")
    steps = jobs.store.records.steps(run.key)["step"]
    assert steps.tolist() == [*range(1, len(steps) + 1)]


def test_memory_stays_flat_and_is_about_what_was_estimated(gpu: torch.device) -> None:
    if gpu.type != "cuda":
        pytest.skip("the allocator of a GPU is asked")
    settings = settings_on(gpu, epochs=50)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    base = torch.cuda.memory_allocated()
    trainer = Trainer(settings, dataset_of(settings))
    seen = []
    for _ in range(2):
        for _ in range(60):
            trainer.step()
        trainer.drain()
        seen.append(torch.cuda.memory_allocated())
    assert seen[1] <= seen[0] + 1_000_000
    workspaces = 100_000_000  # of cuBLAS and cuDNN
    taken = torch.cuda.max_memory_allocated() - base
    info = model_info(settings.model)
    estimate = info.bytes_at(8, copies=5, batch=settings.batch_size)
    assert taken < 3 * estimate + workspaces
    assert 0 < free_bytes(gpu) <= torch.cuda.get_device_properties(gpu).total_memory


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # within PyTorch
@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores:UserWarning")  # its advice
def test_a_compiled_step_is_the_eager_one(gpu: torch.device) -> None:
    losses = []
    for compile in (False, True):
        settings = settings_on(gpu, compile=compile, second_pass="always", precision="fp32")
        trainer = Trainer(settings, dataset_of(settings))
        for _ in range(4):
            trainer.step()
        losses.append([record.loss for record in trainer.drain()])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_two_gpus_are_one_process_with_the_whole_batch(gpu: torch.device, tmp_path: Path) -> None:
    """As two processes on a CPU are, in tests/optim/test_ranks.py."""
    if torch.cuda.device_count() < ranks.RANKS:
        pytest.skip("there are not two GPUs")
    ranks.train_in_two(tmp_path, gpu.type)
    for policy in ranks.POLICIES:
        ranks.check(tmp_path, policy)
