"""Everything that computes, on a device that is not the CPU: the same numbers, no hidden wait.

With ``apple`` the device has no float64, as an Apple GPU.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch

from samar.device.placement import Placement
from samar.device.waiting import on_host
from samar.jobs.job import Job, job_dir, weights_path
from samar.jobs.service import Jobs
from samar.kinds.curvature import CurvatureJobSettings, report_of
from samar.kinds.evaluate import EvaluateSettings
from samar.kinds.landscape import LEVEL, LandscapeJobSettings
from samar.kinds.race import RaceSettings
from samar.landscapes.result import Landscape
from samar.networks.checkpoint import load_weights
from samar.optim.catalog import OPTIMIZERS, RULES, SECOND_PASSES
from samar.optim.rules import LambdaRule, Share, TrendPower
from samar.optim.samar import SAMAR
from samar.optim.second_pass import build_second_pass
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer
from tests.device_double import DEVICE, Double, on_double
from tests.inline import jobs_at
from tests.optim.steps import closure_of

__all__ = ["on_double"]

OnDouble = Callable[..., AbstractContextManager[Double]]
SMALL: dict[str, Any] = {"images_per_class": 13, "batch_size": 32, "epochs": 2}
NOISY = {**SMALL, "label_noise": 0.2, "validation": 0.2}
KINDS = pytest.mark.parametrize("float64", [True, False], ids=["gpu", "apple"])
IMAGE = 24 * 8 * 8
"""Numbers that the first convolution makes of one image, the most of all."""
WAITING = {"threshold"}
"""Policies that say in their documentation that they wait."""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """One store for all tests here, who only add to it; what is measured there costs little."""
    with pytest.MonkeyPatch.context() as patch, jobs_at(tmp_path_factory.mktemp("home")) as jobs:
        patch.setattr("samar.curvature.report.PROBES", 2)
        patch.setattr("samar.curvature.report.STEPS", 8)
        yield jobs


@pytest.fixture
def here(jobs: Jobs) -> Callable[[Any], Job]:
    """``here(settings)`` does a job on the CPU, once for all tests that ask for it."""

    def here(settings: Any) -> Job:
        for job in jobs.store.all(settings.kind):
            if job.settings == settings and job.device != "meta, fp32":
                return job
        return done(jobs, settings, "cpu")

    return here


def done(jobs: Jobs, settings: Any, device: str = "meta, fp32") -> Job:
    job = jobs.get(jobs.submit(settings, anew=True))
    assert (job.status, job.message) == ("finished", "")
    assert str(job.device).startswith(device)
    return job


def losses_of(settings: TrainSettings, steps: int = 6) -> list[tuple[float, ...]]:
    """Of a run that is saved and taken up again in the middle, and of its evaluation."""
    data = dataset_of(settings)
    first, second = Trainer(settings, data), Trainer(settings, data)
    for _ in range(steps // 2):
        first.step()
    records = first.drain()
    second.load_state_dict(first.state_dict())
    for _ in range(steps // 2):
        second.step()
    records += second.drain()
    last = second.evaluate_epoch()
    seen = [(r.loss, r.perturbed_loss, r.sharpness, r.ratio, r.lam, r.grad_norm) for r in records]
    return [*seen, (last.train_loss, last.test_loss, last.test_accuracy, last.val_loss)]


@KINDS
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_and_its_resume_are_those_of_the_cpu(
    on_double: OnDouble, optimizer: str, float64: bool
) -> None:
    settings = TrainSettings(optimizer=optimizer, second_pass="always", **NOISY)
    expected = losses_of(settings)
    with on_double(float64=float64):
        found = losses_of(settings)
    for one, other in zip(found, expected, strict=True):
        # A GPU divides and adds in two operations where a CPU does it in one.
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    "settings",
    [
        *(
            {"optimizer": "samar", "rule": rule, "second_pass": policy}
            for rule in RULES
            for policy in sorted(set(SECOND_PASSES) - WAITING)
        ),
        *({"optimizer": name, "augment": "crop_flip_cutout"} for name in OPTIMIZERS),
    ],
    ids=lambda settings: "-".join(settings.values()),
)
def test_no_step_waits(on_double: OnDouble, settings: dict[str, str]) -> None:
    settings = TrainSettings(**settings, **SMALL)
    data = dataset_of(settings)
    with on_double():
        trainer = Trainer(settings, data)
        trainer.step()
    with on_double(waiting=False):
        for _ in range(9):
            trainer.step()
    with on_double() as double:
        assert len(trainer.drain()) == 10
        assert double.waits == 1


def test_the_double_finds_what_a_gpu_would() -> None:
    """Without this no other test here could fail."""
    with Double():
        there = torch.ones(3).to(DEVICE)
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.ones(3)
        with pytest.raises(AssertionError, match="waits for the device outside of on_host"):
            there.sum().item()
        with pytest.raises(AssertionError, match="outside of on_host"):
            bool(there.sum() > 0)
        with pytest.raises(AssertionError, match="outside of on_host"):
            there.cpu()
    with Double(float64=False), pytest.raises(TypeError, match="MPS"):
        torch.ones(3).to(DEVICE).double()
    with Double(memory=19), pytest.raises(torch.OutOfMemoryError):
        torch.nn.Conv2d(1, 1, 1).to(DEVICE)(torch.ones(5, 1, 2, 2).to(DEVICE))


def test_a_run_and_a_race(on_double: OnDouble, jobs: Jobs, here: Callable[[Any], Job]) -> None:
    """Snapshots, wrong labels, saved weights; then two at once."""
    settings = {**NOISY, "snapshots": 2}
    run = TrainSettings(second_pass="always", **settings)
    on_cpu = here(run)
    with on_double(float64=False):
        there = done(jobs, run)
        race = done(jobs, RaceSettings(optimizers="sgd,samar", **settings))
    kinds = [[e.kind for e in jobs.store.records.events(job.key)] for job in (on_cpu, there)]
    assert kinds[0] == kinds[1]
    final = [load_weights(weights_path(job.id)) for job in (on_cpu, there)]
    for name, tensor in final[0].items():
        torch.testing.assert_close(final[1][name], tensor, rtol=1e-4, atol=1e-5)
    assert {job.status for job in jobs.members(race.id)} == {"finished"}


@pytest.fixture
def trained(here: Callable[[Any], Job]) -> Job:
    return here(TrainSettings(**{**SMALL, "epochs": 6}))


def test_a_stored_network_is_evaluated(
    on_double: OnDouble, jobs: Jobs, here: Callable[[Any], Job], trained: Job
) -> None:
    ask = EvaluateSettings(network=trained.id, images=300)
    expected = here(ask).summary
    with on_double(float64=False):
        found = done(jobs, ask)
    assert found.summary["correct"] == expected["correct"]
    assert found.summary["loss"] == pytest.approx(expected["loss"], rel=1e-6)


@pytest.mark.parametrize("directions", ["filter", "raw", "hessian", "pca", "between"])
def test_a_landscape(
    on_double: OnDouble,
    jobs: Jobs,
    here: Callable[[Any], Job],
    trained: Job,
    directions: str,
) -> None:
    settings = {"network": trained.id, "images": 64, "points": 5, "directions": directions}
    if directions == "between":
        other = here(TrainSettings(seed=1, **SMALL))
        settings |= {"others": (other.id,), "dim": 1}
    elif directions == "filter":
        settings |= {"rho": 0.1, "path": True}
    asked = LandscapeJobSettings(**settings)
    expected = here(asked)
    with on_double(float64=False):
        found = done(jobs, asked)
    surfaces = []
    for job in (expected, found):
        kept = jobs.store.records.artifacts(job.key, LEVEL)[-1]
        surfaces.append(Landscape.load(job_dir(job.id) / kept.path))
    assert surfaces[1].manifest["device"] == "meta"
    assert surfaces[1].manifest["precision"] == "fp32"
    if directions != "hessian":  # whose axes may point either way
        np.testing.assert_allclose(surfaces[1].loss, surfaces[0].loss, rtol=2e-4)
    assert np.isfinite(surfaces[1].loss).all()


@pytest.mark.parametrize("engine", ["lanczos", "pyhessian"])
def test_curvature(
    on_double: OnDouble,
    jobs: Jobs,
    here: Callable[[Any], Job],
    trained: Job,
    engine: str,
) -> None:
    settings: dict[str, Any] = {"network": trained.id, "images": 48, "top": 2, "engine": engine}
    settings |= {"tol": 1e-3}
    if engine == "lanczos":
        more = {"trace": True, "trace_products": 6, "layers": True, "sharpness": True}
        settings |= {**more, "density": True}
    asked = CurvatureJobSettings(**settings)
    expected = here(asked)
    with on_double(float64=False):
        found = done(jobs, asked)
    one, other = (report_of(jobs.store, job) for job in (found, expected))
    assert one.spectrum.values == pytest.approx(other.spectrum.values, rel=2e-3)
    assert one.manifest["device"] == "meta"
    if one.sharpness and other.sharpness:
        for mine, theirs in zip(one.sharpness, other.sharpness, strict=True):
            assert (mine.value is None) == (theirs.value is None)
            if theirs.value is not None:
                assert mine.value == pytest.approx(theirs.value, rel=0.05)


def test_a_landscape_and_a_hessian_that_do_not_fit_are_taken_in_smaller_pieces(
    on_double: OnDouble,
) -> None:
    from samar.curvature.product import hessian_of
    from samar.curvature.solvers.eigenvalues import top_of
    from samar.data.sample import Sample
    from samar.landscapes.evaluator import Evaluator
    from samar.landscapes.frame import weights_of

    data = dataset_of(TrainSettings(**SMALL))
    network = Trainer(TrainSettings(device="cpu", **SMALL), data).model
    sample = Sample.of(data.train, data.normalization, 96)
    expected = Evaluator(network, sample, chunk=96).at(weights_of(network))[:2]
    with hessian_of(network, sample, batch_size=96) as hessian:
        values = top_of(hessian, k=1, tol=0.2).values
    with on_double(memory=20 * IMAGE):
        there, images = network.to(DEVICE), Sample(sample.x.to(DEVICE), sample.y.to(DEVICE))
        evaluator = Evaluator(there, images, chunk=96)
        assert evaluator.at(weights_of(there))[:2] == pytest.approx(expected, rel=1e-6)
        assert evaluator.chunk == 12
        evaluator = Evaluator(there, images)
        assert evaluator.at(weights_of(there))[:2] == pytest.approx(expected, rel=1e-6)
        with hessian_of(there, images, batch_size=96) as hessian:
            assert top_of(hessian, k=1, tol=0.2).values == pytest.approx(values, rel=1e-4)
            assert hessian._batch_size == 12


def test_training_that_does_not_fit_is_a_sentence(on_double: OnDouble, jobs: Jobs) -> None:
    with on_double(memory=4 * IMAGE):
        job = jobs.get(jobs.submit(TrainSettings(**SMALL)))
    assert job.status == "failed"
    assert "Out of memory" in job.message
    assert "smaller batch" in job.message


def test_an_apple_gpu_takes_fp32_where_bf16_was_asked_for(on_double: OnDouble) -> None:
    with on_double(float64=False):
        placed = Placement.choose("auto", "bf16", 10**9)
    assert (placed.precision, placed.autocast_dtype) == ("fp32", None)
    assert placed.note == "The device meta does not compute in bf16; fp32 was taken instead."


@pytest.mark.parametrize("policy", ["always", "dither", "late"])
@pytest.mark.parametrize("rule", [TrendPower(), Share()])
def test_an_optimizer_follows_a_network_that_moved(
    on_double: OnDouble, rule: LambdaRule, policy: str
) -> None:
    """Built before the network goes to the device, as Hugging Face's Trainer has it."""

    def built() -> SAMAR:
        x = torch.nn.Parameter(torch.tensor([2.0, -1.0]))
        return SAMAR([x], lr=0.1, rule=rule, second_pass=build_second_pass(policy))

    def train(optimizer: SAMAR) -> None:
        (x,) = optimizer.param_groups[0]["params"]

        closure = closure_of(optimizer, lambda: 1 + x.square().sum())

        for _ in range(4):
            optimizer.step(closure)

    here, moved = built(), built()
    train(here)
    with on_double(waiting=False):
        group = moved.param_groups[0]
        group["params"] = [
            torch.nn.Parameter(p.detach().to(DEVICE, non_blocking=True)) for p in group["params"]
        ]
        train(moved)
    numbers = {n: v for n, v in vars(moved).items() if isinstance(v, torch.Tensor)}
    assert {"lam", "_average", "_reference", "ratio", "loss", "grad_norm"} <= set(numbers)
    assert {n for n, v in numbers.items() if v.device != DEVICE} == set()
    if policy != "dither":  # which knows λ some steps late there
        with on_double():
            assert on_host(moved.lam).item() == pytest.approx(here.lam.item(), rel=1e-5)


def test_bounds_are_obeyed_although_the_device_is_late(on_double: OnDouble) -> None:
    with on_double():
        x = torch.nn.Parameter(torch.tensor([2.0]).to(DEVICE))
        optimizer = SAMAR([x], lr=0.1, lam=3.0, lam_min=3.0, lam_max=3.0)
        closure = closure_of(optimizer, lambda: 1 + x.square().sum())
        for step in range(20):
            if step == 10:
                optimizer.set_bounds(0.0, 0.0)
            optimizer.step(closure)
            assert optimizer.gradients == (2 if step < 10 else 1)
