"""The spare process: as good as a fresh one, and nothing is lost where it is not there."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from samar.jobs.engine import local, spare, worker
from samar.jobs.engine.spare import start_process
from samar.jobs.engine.worker import NICENESS
from samar.jobs.job import Job, log_path, weights_path
from samar.jobs.kind import kind_of
from samar.jobs.service import Jobs
from samar.networks.checkpoint import load_weights
from samar.training.settings import TrainSettings

TINY = {"images_per_class": 13, "batch_size": 32, "device": "cpu", "epochs": 2}


@pytest.fixture
def jobs(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("SAMAR_SPARE", "1")
    monkeypatch.setattr(spare, "RENEW_SECONDS", 1e6)  # one spare a test
    yield Jobs()
    end_spare()


def end_spare() -> None:
    if spare._spare is not None:
        spare._spare.process.kill()
        spare._spare.end()
    spare._spare = None


def kept() -> spare.Spare:
    spare.keep()
    assert spare._spare is not None
    return spare._spare


def ready() -> spare.Spare:
    """The spare, once it has rehearsed and says whether it can be copied."""
    found = kept()
    assert found._says_something(60)
    return found


def copies_of(pid: int) -> set[int]:
    return {child.pid for child in psutil.Process(pid).children()}


def done(jobs: Jobs, job_id: str, until: Callable[[Job], bool] | None = None) -> Job:
    end = time.monotonic() + 120
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


COPIES = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")


def same(jobs: Jobs, one: Job, other: Job) -> None:
    assert one.status == other.status == "finished", (one.message, other.message)
    ours, theirs = records(jobs, one), records(jobs, other)
    for name, column in theirs.items():
        np.testing.assert_array_equal(ours[name], column)
    mine, yours = (load_weights(weights_path(job.id)) for job in (one, other))
    assert all((mine[name] == tensor).all() for name, tensor in yours.items())


def threads_of(jobs: Jobs, job: Job) -> int:
    started = [e.detail for e in jobs.store.records.events(job.key) if e.kind == "started"]
    return int(started[0]["threads"])


@pytest.mark.parametrize("copied", [pytest.param(True, marks=COPIES), False])
def test_a_job_of_the_spare_ends_bit_for_bit_like_one_in_a_fresh_process(
    jobs: Jobs, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "start_process", start_process)  # not one that was forked
    settings = TrainSettings(**TINY)
    fresh = done(jobs, jobs.submit(settings))
    if not copied:
        monkeypatch.setattr(spare.Spare, "forks", False)
    waiting = ready().process
    warm = done(jobs, jobs.submit(settings))
    same(jobs, warm, fresh)
    assert threads_of(jobs, warm) == 1
    assert warm.pid != fresh.pid
    assert (warm.pid == waiting.pid) is not copied
    assert log_path(warm.id).is_file()
    if copied:
        assert waiting.poll() is None
    else:
        assert waiting.wait(timeout=60) == 0


@COPIES
@pytest.mark.skipif(psutil.cpu_count(logical=False) == 1, reason="needs two cores")
def test_a_copy_computes_with_all_threads_where_they_pay(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "start_process", start_process)  # not forked from one with a thread
    few = {"epochs": 1, "images_per_class": 55, "batch_size": 512}
    large = TrainSettings(**TINY | few, model="resnet20")
    fresh = done(jobs, jobs.submit(large))
    ready()
    copy = done(jobs, jobs.submit(large))
    same(jobs, copy, fresh)
    assert threads_of(jobs, copy) == threads_of(jobs, fresh) > 1


@COPIES
def test_one_spare_starts_many_jobs_which_outlive_it(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMAR_MAX_RUNS", "2")
    waiting = ready().process
    job_id = jobs.submit(TrainSettings(**TINY | {"epochs": 10_000}))
    long = done(jobs, job_id, lambda job: job.done > 0)
    assert long.pid is not None
    process = psutil.Process(long.pid)
    assert (os.getsid(long.pid), process.ppid()) == (long.pid, waiting.pid)
    assert process.nice() >= NICENESS
    descriptors = psutil.Process().num_fds()
    few = TINY | {"epochs": 1}
    short = [done(jobs, jobs.submit(TrainSettings(**few, seed=seed))) for seed in (1, 2, 3)]
    assert {job.status for job in short} == {"finished"}
    assert len({job.pid for job in (long, *short)}) == 4
    assert psutil.Process().num_fds() <= descriptors + 1
    end = time.monotonic() + 30
    while copies_of(waiting.pid) != {long.pid} and time.monotonic() < end:
        time.sleep(0.05)
    assert copies_of(waiting.pid) == {long.pid}, "ended copies linger"
    waiting.kill()
    waiting.wait()
    now = jobs.get(job_id).done
    done(jobs, job_id, lambda job: job.done > now)
    jobs.stop(job_id)
    assert done(jobs, job_id).status == "stopped"


@COPIES
def test_a_job_and_its_observer_are_copies_and_end_together(jobs: Jobs) -> None:
    waiting = ready().process
    job_id = jobs.submit(TrainSettings(**TINY | {"epochs": 10_000}), pace="epoch")
    job = done(jobs, job_id, lambda job: job.done > 20)
    copies = psutil.Process(waiting.pid).children(recursive=True)
    assert job.pid in {copy.pid for copy in copies}
    assert len(copies) == 2
    assert any(e.kind == "plane" for e in jobs.store.records.events(job.key))
    psutil.Process(job.pid).kill()
    _, alive = psutil.wait_procs(copies, timeout=5)
    assert not alive


def test_a_job_may_come_before_the_spare_is_ready(jobs: Jobs) -> None:
    process = kept().process
    job = done(jobs, jobs.submit(TrainSettings(**TINY)))
    assert (job.status, job.pid) == ("finished", process.pid)


def test_a_killed_spare_costs_nothing_but_time(jobs: Jobs) -> None:
    process = kept().process
    process.kill()
    process.wait()
    job = done(jobs, jobs.submit(TrainSettings(**TINY)))
    assert job.status == "finished"
    assert job.pid != process.pid


def test_it_ends_with_the_process_that_keeps_it(jobs: Jobs) -> None:
    found = kept()
    found.end()  # as when the server dies
    assert found.process.wait(timeout=60) == 0


def test_changed_code_is_never_run_in_an_old_spare(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ready().process
    newest = spare._newest_code()
    monkeypatch.setattr(spare, "_newest_code", lambda: newest + 1)
    job = done(jobs, jobs.submit(TrainSettings(**TINY)), lambda job: job.done > 0)
    assert job.pid != old.pid
    if job.active:
        assert psutil.Process(job.pid).ppid() != old.pid
    done(jobs, job.id)
    assert old.wait(timeout=60) == 0


def test_what_fails_in_the_rehearsal_is_no_end_of_a_job(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("out of memory")

    known = {"train": replace(kind_of("train"), rehearse=broken)}
    monkeypatch.setattr(worker, "kinds", lambda: known)
    worker.rehearse()


def test_it_can_be_switched_off(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMAR_SPARE", "0")
    spare.keep()
    assert spare._spare is None


def test_an_idle_spare_goes(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "IDLE_SECONDS", 0.5)
    spare.keep()
    assert spare._spare is not None
    process = spare._spare.process
    assert process.wait(timeout=60) == 0
    assert spare._spare is None
