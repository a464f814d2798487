"""The spare process: as good as a fresh one, and nothing is lost where it is not there."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from samar.jobs.engine import spare
from samar.jobs.files import log_path, weights_path
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.networks.checkpoint import load_weights
from samar.training.settings import TrainSettings

TINY = {"images_per_class": 13, "batch_size": 32, "device": "cpu", "epochs": 3, "probe_share": 1}


@pytest.fixture
def jobs(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("SAMAR_SPARE", "1")
    monkeypatch.setattr(spare, "RENEW_SECONDS", 1e6)  # one spare a test
    yield Jobs()
    end_spare()


def end_spare() -> None:
    if spare._spare is not None and spare._spare[0].poll() is None:
        spare._spare[0].kill()
    spare._spare = None


def ready() -> int:
    """Wait until the spare has rehearsed and reads its standard input; its process id."""
    spare.keep()
    assert spare._spare is not None
    process = psutil.Process(spare._spare[0].pid)
    quiet, before = 0, -1.0
    end = time.monotonic() + 60
    while quiet < 5 and time.monotonic() < end:
        time.sleep(0.1)
        used = sum(process.cpu_times()[:2])
        quiet = quiet + 1 if used == before and used > 1 else 0
        before = used
    return process.pid


def done(jobs: Jobs, job_id: str, until: Callable[[Job], bool] | None = None) -> Job:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        job = jobs.get(job_id)
        if (until or (lambda job: not job.active))(job):
            return job
        time.sleep(0.05)
    raise AssertionError(f"{job.status} at {job.done}: {job.message}")


def records(jobs: Jobs, job: Job) -> dict[str, np.ndarray]:
    columns = jobs.store.records.steps(job.key)
    del columns["seconds"]
    return columns


def test_a_job_in_the_spare_ends_bit_for_bit_like_one_in_a_fresh_process(jobs: Jobs) -> None:
    settings = TrainSettings(**TINY)
    fresh = done(jobs, jobs.submit(settings))
    waiting = ready()
    warm = done(jobs, jobs.submit(settings))
    assert warm.pid == waiting != fresh.pid
    assert fresh.status == warm.status == "finished"
    ours, theirs = records(jobs, warm), records(jobs, fresh)
    for name, column in theirs.items():
        np.testing.assert_array_equal(ours[name], column)
    mine, other = load_weights(weights_path(warm.id)), load_weights(weights_path(fresh.id))
    assert all((mine[name] == tensor).all() for name, tensor in other.items())
    started = [e.detail for e in jobs.store.records.events(warm.key) if e.kind == "started"]
    assert started[0]["threads"] == 1
    assert log_path(warm.id).is_file()


def test_a_killed_spare_costs_nothing_but_time(jobs: Jobs) -> None:
    spare.keep()
    assert spare._spare is not None
    killed = spare._spare[0].pid
    os.kill(killed, signal.SIGKILL)
    spare._spare[0].wait()
    job = done(jobs, jobs.submit(TrainSettings(**TINY)))
    assert job.status == "finished"
    assert job.pid != killed


def test_it_ends_with_the_process_that_keeps_it(jobs: Jobs) -> None:
    spare.keep()
    assert spare._spare is not None
    process = spare._spare[0]
    assert process.stdin is not None
    process.stdin.close()  # as when the server dies
    assert process.wait(timeout=60) == 0


def test_changed_code_is_never_run_in_an_old_spare(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare.keep()
    assert spare._spare is not None
    old = spare._spare[0].pid
    newest = spare._newest_code()
    monkeypatch.setattr(spare, "_newest_code", lambda: newest + 1)
    job = done(jobs, jobs.submit(TrainSettings(**TINY)), lambda job: job.pid is not None)
    assert job.pid != old
    done(jobs, job.id)


def test_it_can_be_switched_off(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMAR_SPARE", "0")
    spare.keep()
    assert spare._spare is None


def test_an_idle_spare_goes(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "IDLE_SECONDS", 0.5)
    spare.keep()
    assert spare._spare is not None
    process = spare._spare[0]
    assert process.wait(timeout=60) == 0
    assert spare._spare is None
