"""One run in two processes: live, paused, edited, killed and resumed like one in one process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from samar.errors import ConfigError
from samar.jobs.edits import PlannedEdit
from samar.jobs.job import Job, log_path
from samar.jobs.service import Jobs
from samar.kinds.race import RaceSettings
from samar.training.settings import TrainSettings
from tests.forked import FORKS, workers_of
from tests.sameness import difference
from tests.waiting import wait

TWO = {
    **{"images_per_class": 16, "batch_size": 32, "device": "cpu", "ranks": 2, "epochs": 3},
    **{"checkpoint_seconds": 0.0, "snapshots": 0},
}


def ended(jobs: Jobs, job_id: str, status: str = "finished") -> Job:
    job = wait(jobs, job_id, lambda job: not job.active)
    assert (job.status, job.message) == (status, ""), log_path(job_id).read_text()
    return job


def test_it_trains_to_its_end(jobs: Jobs) -> None:
    run = ended(jobs, jobs.submit(TrainSettings.parse(TWO | {"optimizer": "samar"})))
    assert run.done == run.total == 15
    steps = jobs.store.records.steps(run.key)
    assert steps["step"].tolist() == list(range(1, 16))
    assert len(np.unique(steps["lam"][np.isfinite(steps["lam"])])) > 3


def test_edited_stopped_and_resumed(jobs: Jobs) -> None:
    settings = TrainSettings.parse(
        TWO | {"optimizer": "samar", "epochs": 30, "perturbation": "local"}
    )
    edits = [PlannedEdit(step=8, values={"rho": 0.3}), PlannedEdit(step=12, values={"lr": 0.02})]
    whole = ended(jobs, jobs.submit(settings, edits=edits))
    run_id = jobs.submit(settings, edits=edits)
    wait(jobs, run_id, lambda job: job.done > 20)
    jobs.pause(run_id)
    wait(jobs, run_id, lambda job: job.status == "paused")
    jobs.resume(run_id)
    wait(jobs, run_id, lambda job: job.status == "running")
    jobs.stop(run_id)
    ended(jobs, run_id, "stopped")
    jobs.resume(run_id)
    run = ended(jobs, run_id)
    assert run.edits == 2
    assert difference(jobs, run, whole) == ""


def the_other(run: Job, home: Path) -> psutil.Process:
    """The second process of a run in two."""
    (other,) = (process for process in workers_of(home) if process.pid != run.pid)
    return other


@pytest.mark.skipif(not FORKS, reason="the second process is known as one that was forked")
def test_a_process_that_is_killed_ends_the_run_with_a_sentence(
    jobs: Jobs, samar_home: Path
) -> None:
    settings = TrainSettings.parse(TWO | {"optimizer": "sam", "epochs": 30})
    whole = ended(jobs, jobs.submit(settings))
    run_id = jobs.submit(settings)
    run = wait(jobs, run_id, lambda job: job.done > 20)
    the_other(run, samar_home).kill()
    run = wait(jobs, run_id, lambda job: not job.active)
    assert run.status == "failed"
    assert run.message.startswith("One of the processes that train together is gone; resume")
    before = run.done
    jobs.resume(run_id)
    run = wait(jobs, run_id, lambda job: job.done > before + 5)
    other = the_other(run, samar_home)
    os.kill(run.pid, signal.SIGKILL)
    psutil.wait_procs([other], timeout=20)
    assert not other.is_running()
    wait(jobs, run_id, lambda job: job.status == "interrupted")
    jobs.resume(run_id)
    assert difference(jobs, ended(jobs, run_id), whole) == ""


def test_resumed_in_another_number_of_processes(jobs: Jobs) -> None:
    """That it goes on with the same numbers is shown in tests/training/test_ranks.py."""
    settings = TrainSettings.parse(TWO | {"optimizer": "samar", "augment": "none", "epochs": 12})
    run_id = jobs.submit(settings)
    run = wait(jobs, run_id, lambda job: job.done > 10)
    assert str(run.device).endswith(", 2 ranks")
    with pytest.raises(ConfigError, match="only a training run that ended early"):
        jobs.resume(run_id, ranks=1)
    jobs.stop(run_id)
    ended(jobs, run_id, "stopped")
    with pytest.raises(ConfigError, match="ranks is 0"):
        jobs.resume(run_id, ranks=0)
    jobs.resume(run_id, ranks=1)
    run = ended(jobs, run_id)
    assert "ranks" not in str(run.device)
    steps = jobs.store.records.steps(run.key)
    assert steps["step"].tolist() == list(range(1, run.total + 1))
    assert np.isfinite(steps["loss"]).all()


def test_under_torchrun(samar_home: Path) -> None:
    """Trained in two processes, stopped as a person does it, resumed in one more."""
    jobs = Jobs()
    words = "-m samar train --optimizer samar --images-per-class 16 --batch-size 32 --device cpu"
    words += " --epochs 400"
    with torchrun(2, words, samar_home / "first.log") as first:
        while not (found := jobs.all()):
            assert first.poll() is None
            time.sleep(0.2)
        run = wait(jobs, found[0].id, lambda run: run.done > 10)
        first.send_signal(signal.SIGINT)
        first.wait(60)
    run = jobs.get(run.id)
    assert run.status == "stopped", (samar_home / "first.log").read_text()
    assert run.settings.ranks == 2
    with torchrun(3, f"-m samar resume {run.id}", samar_home / "second.log") as second:
        run = wait(jobs, run.id, lambda again: again.done > run.done + 5)
        assert str(run.device).endswith(", 3 ranks")
        jobs.stop(run.id)
        assert second.wait(60) == 0
    assert jobs.get(run.id).status == "stopped"


@contextmanager
def torchrun(count: int, words: str, log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={count}"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, "--standalone", *words.split()],
            env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()  # and the processes it started with it


def test_a_race_is_one_process() -> None:
    race = RaceSettings.parse({"ranks": 2})
    assert not race.applies("ranks")
    assert {member.ranks for member in race.members()} == {1}


def test_a_batch_that_is_too_small_is_a_sentence(jobs: Jobs, tmp_path: Path) -> None:
    run_id = jobs.submit(TrainSettings.parse(TWO | {"ranks": 3, "batch_size": 5}))
    run = wait(jobs, run_id, lambda job: not job.active)
    assert run.status == "failed"
    assert "The smallest batch has 5 images, too few for 3 ranks" in run.message
