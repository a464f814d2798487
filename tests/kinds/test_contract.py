"""What every kind of job can do: submit, finish, cancel, die and go on, be reused, be deleted.

A kind that is added gets a row here, and has to pass.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from samar.errors import SamarError
from samar.jobs.job import Job, job_dir
from samar.jobs.kind import kind_of, kinds
from samar.jobs.service import Jobs
from samar.kinds.connectivity import ConnectivityJobSettings
from samar.kinds.curvature import CurvatureJobSettings
from samar.kinds.evaluate import EvaluateSettings
from samar.kinds.landscape import LandscapeJobSettings
from samar.kinds.race import RaceSettings
from samar.settings.declare import settings_of
from samar.settings.job import JobSettings
from samar.sweeps.spec import SweepSpec
from samar.training.settings import TrainSettings
from tests.waiting import wait

TINY = {"images_per_class": 13, "batch_size": 32, "device": "cpu"}
QUICK: dict[str, Callable[[str], JobSettings]] = {
    "train": lambda run: TrainSettings(**TINY, epochs=2),
    "landscape": lambda run: LandscapeJobSettings(network=run, points=5, images=16),
    "curvature": lambda run: CurvatureJobSettings(network=run, top=1, tol=0.1, images=16),
    "connectivity": lambda run: ConnectivityJobSettings(
        network=run, other="other", points=5, images=16, steps=3, plane=5, align="none"
    ),
    "evaluate": lambda run: EvaluateSettings(network=run),
    "sweep": lambda run: SweepSpec(base={**TINY, "epochs": 1}, grid={"rho": (0.1,)}, seeds=2),
    "race": lambda run: RaceSettings(**TINY, epochs=2, optimizers="sgd,samar"),
}
LONG: dict[str, Callable[[str], JobSettings]] = {
    "train": lambda run: TrainSettings(**TINY, epochs=5000),
    "landscape": lambda run: LandscapeJobSettings(
        network=run, points=65, images=700, split="train"
    ),
    "curvature": lambda run: CurvatureJobSettings(
        network=run, top=100, tol=1e-6, images=700, max_products=100_000, density=True
    ),
    "connectivity": lambda run: ConnectivityJobSettings(
        network=run, other="other", points=5, images=16, steps=100_000, align="none"
    ),
    "sweep": lambda run: SweepSpec(base={**TINY, "epochs": 5000}, grid={"rho": (0.1,)}, seeds=2),
    "race": lambda run: RaceSettings(**TINY, epochs=5000, optimizers="sgd,samar"),
}
REUSED = [name for name in QUICK if kind_of(name).reused]


@pytest.fixture
def run(jobs: Jobs, recorded: Callable[..., Any]) -> str:
    """A finished run with weights, which other jobs measure; another one is called other."""
    recorded(weights=True, seed=2, name="other")
    return str(recorded(weights=True).id)


def at_work(jobs: Jobs) -> Callable[[Job], bool]:
    """Whether a job has begun to compute; a sweep, whether its first member has."""

    def begun(job: Job) -> bool:
        if kind_of(job.kind).lane is None:
            return any(each.done > 5 for each in jobs.store.all(parent=job.id))
        return job.status == "running" and job.done > 5

    return begun


def test_every_kind_stands_here() -> None:
    measured_elsewhere = {"inspect", "download", "watch", "measured"}
    assert set(kinds()) - measured_elsewhere == set(QUICK)


@pytest.mark.parametrize("name", QUICK)
def test_it_finishes_says_what_it_found_and_is_deleted_with_what_it_owns(
    jobs: Jobs, run: str, name: str
) -> None:
    job_id = jobs.submit(QUICK[name](run))
    owned = [each.id for each in jobs.store.all(parent=job_id)]
    job = wait(jobs, job_id, lambda job: not job.active)
    assert (job.status, job.message) == ("finished", "")
    assert job.kind == name
    assert job.settings == QUICK[name](run)
    if kind_of(name).lane is not None:
        assert job.summary
        assert job.finished is not None
    for artifact in jobs.store.records.artifacts(job.key):
        assert (job_dir(job.id) / artifact.path).is_file()
    assert not list(job_dir(job.id).rglob("*.part"))
    child = jobs.submit(EvaluateSettings(network=run, name="owned"), parent=job_id, anew=True)
    wait(jobs, child, lambda job: not job.active)
    jobs.delete(job_id)
    left = {job.id for job in jobs.store.all()}
    assert not left & {job_id, child, *owned}
    assert not job_dir(job_id).exists()
    assert run in left  # what it measured survives it


@pytest.mark.parametrize("name", LONG)
def test_cancelled_it_stops_soon(jobs: Jobs, run: str, name: str) -> None:
    job_id = jobs.submit(LONG[name](run))
    wait(jobs, job_id, at_work(jobs))
    jobs.stop(job_id)
    asked = time.monotonic()
    job = wait(jobs, job_id, lambda job: job.status == "stopped", seconds=20)
    assert "did not stop by itself" not in job.message
    assert time.monotonic() - asked < 20


@pytest.mark.parametrize("name", [name for name in LONG if name != "sweep"])
def test_killed_it_goes_on_or_starts_again(jobs: Jobs, run: str, name: str) -> None:
    job_id = jobs.submit(LONG[name](run))
    job = wait(jobs, job_id, at_work(jobs))
    assert job.pid is not None
    os.kill(job.pid, signal.SIGKILL)
    job = wait(jobs, job_id, lambda job: job.status == "interrupted", seconds=30)
    assert "is gone; resume it to go on" in job.message
    jobs.resume(job_id)
    wait(jobs, job_id, at_work(jobs))
    jobs.stop(job_id)
    wait(jobs, job_id, lambda job: job.status == "stopped", seconds=20)


def test_a_dead_process_is_noticed_although_another_has_its_number(
    jobs: Jobs, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.jobs.engine.local.spawn", lambda job: os.getpid())
    job_id = jobs.submit(QUICK["evaluate"](run))
    job = jobs.store.get(job_id)
    jobs.store.beat(job, pid=os.getpid(), process=psutil.Process().create_time() - 1000)
    jobs.store.mark_interrupted()
    assert jobs.store.get(job_id).status == "interrupted"


@pytest.mark.parametrize("name", QUICK)
def test_bad_settings_are_one_sentence(jobs: Jobs, run: str, name: str) -> None:
    model = kind_of(name).settings
    with pytest.raises(SamarError, match="no setting called 'colour'") as caught:
        model.parse({"colour": "red"})
    assert "\n" not in str(caught.value)
    bounded = [s for s in settings_of(model).values() if s.high is not None and s.kind is int]
    for known in bounded:
        with pytest.raises(SamarError, match="must be at most"):
            model.parse({known.name: int(known.high or 0) + 1})


@pytest.mark.parametrize("name", REUSED)
def test_a_missing_network_is_said_before_anything_is_queued(jobs: Jobs, name: str) -> None:
    for network, words in (
        ("nothing", "There is no run 'nothing'"),
        ("", "No network was chosen"),
        ("weights.pt", "say which --model and --dataset"),
    ):
        with pytest.raises(SamarError, match=words):
            jobs.submit(kind_of(name).settings.parse({"network": network}))
    assert jobs.store.all() == []


@pytest.mark.parametrize("name", REUSED)
def test_an_equal_job_is_the_answer_unless_asked_anew_or_of_other_weights(
    jobs: Jobs, run: str, name: str, recorded: Callable[..., Any]
) -> None:
    settings = QUICK[name](run)
    first = jobs.submit(settings)
    assert jobs.submit(settings) == first  # under way
    wait(jobs, first, lambda job: job.status == "finished")
    assert jobs.submit(settings.changed(name="again")) == first
    jobs.rename(run, "another name")
    assert jobs.submit(settings.changed(network="another name")) == first
    anew = jobs.submit(settings, anew=True)
    path = job_dir(run) / "weights.safetensors"
    other = recorded(weights=True, seed=1).id
    path.write_bytes((job_dir(other) / "weights.safetensors").read_bytes())
    assert anew != first
    assert jobs.submit(settings) not in (first, anew)


def test_a_dead_worker_is_no_answer(jobs: Jobs, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    settings = QUICK["evaluate"](run)
    dead = jobs.store.claim(jobs.submit(settings))
    assert dead is not None
    jobs.store.beat(dead, pid=os.getpid())
    assert jobs.submit(settings) == dead.id
    jobs.store.beat(dead, pid=2**22 + 1)
    assert jobs.submit(settings) != dead.id
    assert jobs.store.get(dead.id).status == "interrupted"


def test_old_measurements_make_room(jobs: Jobs, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    monkeypatch.setattr("samar.jobs.service.KEPT_MEASUREMENTS", 0)
    store = jobs.store
    old = [store.create(EvaluateSettings(network=run, images=n)) for n in (1, 2)]
    for each in old:
        store.move(store.get(each), "finished", only=("queued",))
    new = jobs.submit(EvaluateSettings(network=run))
    assert [job.id for job in store.all("evaluate")] == [new]


def test_a_run_is_never_answered_with_an_old_one(jobs: Jobs, run: str) -> None:
    settings = QUICK["train"](run)
    assert jobs.submit(settings) != jobs.submit(settings)


def test_what_was_measured_outlives_the_network(jobs: Jobs, run: str) -> None:
    job_id = jobs.submit(QUICK["landscape"](run))
    wait(jobs, job_id, lambda job: job.status == "finished")
    title = jobs.get(run).label
    jobs.delete(run)
    job = jobs.get(job_id)
    assert job.inputs["title"] == title
    assert (job_dir(job_id) / "landscape-5.npz").is_file()


def test_a_short_measurement_never_waits_behind_a_run_or_a_sweep(jobs: Jobs, run: str) -> None:
    training = jobs.submit(LONG["train"](run))
    sweep = jobs.submit(LONG["sweep"](run))
    wait(jobs, training, at_work(jobs))
    measured = jobs.submit(QUICK["evaluate"](run))
    wait(jobs, measured, lambda job: job.status == "finished")
    assert jobs.get(training).status == "running"
    assert all(each.status == "queued" for each in jobs.store.all(parent=sweep))
    jobs.stop(training)


def test_every_kind_is_listed_without_torch(samar_home: Path) -> None:
    code = """
import sys
from samar.jobs.kind import kinds
from samar.settings.declare import settings_of
assert {"train", "landscape", "curvature", "connectivity", "evaluate", "sweep"} <= set(kinds())
for kind in kinds().values():
    assert settings_of(kind.settings)
heavy = {"torch", "torchvision", "scipy", "optuna", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
