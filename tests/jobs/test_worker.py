"""Real worker processes on tiny digits: steering, dying, resuming."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from samar.errors import ConfigError, DataError, RunError
from samar.jobs.edits import values_of
from samar.jobs.job import WAITS, Job, job_dir, resume_path, weights_path
from samar.jobs.records import MEASURED, Event
from samar.jobs.service import Jobs
from samar.jobs.summary import summary
from samar.networks.checkpoint import load_weights
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer
from tests.waiting import wait

# Of the others nothing depends on the database that these, and the tests of the store, do not show.
BOTH_STORES = (
    "test_killed_at_any_moment_nothing_is_lost_or_repeated",
    "test_a_worker_that_lost_its_run_leaves_it_alone",
)

LONG = {"images_per_class": 20, "batch_size": 16, "epochs": 2000, "device": "cpu"}
SHORT = {**LONG, "epochs": 4, "images_per_class": 13}


@pytest.fixture
def runs(jobs: Jobs) -> Jobs:
    """All jobs here are training runs."""
    return jobs


def trains(run: Job) -> bool:
    return run.status == "running" and run.done > 10


def test_a_run_trains_to_its_end_and_equals_the_library(runs: Jobs) -> None:
    config = TrainSettings(**SHORT)
    run_id = runs.submit(config)
    run = wait(runs, run_id, lambda run: not run.active)
    assert run.status == "finished"
    trainer = Trainer(config, dataset_of(config))
    while not trainer.finished:
        trainer.step()
    ours = [record.loss for record in trainer.drain()]
    assert runs.store.records.steps(run.key)["loss"].tolist() == ours
    weights = load_weights(weights_path(run_id))
    assert all((weights[n] == w).all() for n, w in trainer.model.state_dict().items())
    row = summary(runs.store, run)
    assert row["epochs"] == 4
    assert row["steps"] == len(ours) == trainer.total_steps
    assert row["lam_low"] <= row["lam_last"] <= row["lam_high"]
    with pytest.raises(RunError, match="is finished; only stopped"):
        runs.resume(run_id)


def test_steering(runs: Jobs) -> None:
    """Pause, single step, live change, resume, stop, resume, and what the store then says."""
    run_id = runs.submit(TrainSettings(**LONG))
    wait(runs, run_id, trains)
    with pytest.raises(RunError, match="is running; step needs a run that is paused"):
        runs.step(run_id)
    runs.pause(run_id)
    paused = wait(runs, run_id, lambda run: run.status == "paused")
    time.sleep(0.5)
    assert runs.get(run_id).done == paused.done
    runs.step(run_id)
    wait(runs, run_id, lambda run: run.done == paused.done + 1)
    with pytest.raises(ConfigError, match="rho is 9, but it must be at most 5"):
        runs.change(run_id, rho=9)
    runs.change(run_id, lam_max=0.5)
    runs.change(run_id, rho=0.5, lam_max=2.0)
    runs.resume(run_id)
    wait(runs, run_id, lambda run: trains(run) and run.done > paused.done + 20)
    assert runs.live_values(runs.get(run_id))["rho"] == 0.5
    runs.stop(run_id)
    stopped = wait(runs, run_id, lambda run: run.status == "stopped")
    assert weights_path(run_id).is_file()
    runs.resume(run_id)
    wait(runs, run_id, lambda run: run.status == "running" and run.done > stopped.done + 5)
    events = runs.store.records.events(stopped.key)
    events = [event for event in events if event.kind not in MEASURED]
    kinds = [event.kind for event in events]
    assert kinds == ["started", "paused", "change", "change", "resumed", "stopped", "started"]
    assert [event.step for event in events[2:4]] == [paused.done + 1] * 2
    runs.stop(run_id)
    stopped = wait(runs, run_id, lambda run: run.status == "stopped")
    steps = runs.store.records.steps(stopped.key)
    assert steps["step"].tolist() == list(range(1, len(steps["step"]) + 1))
    assert steps["loss"].tolist() == replayed(stopped, events, len(steps["step"]))
    assert steps["lam"][paused.done + 1 :].max() <= 2.0
    runs.delete(run_id)
    assert not job_dir(run_id).exists()


def test_optimizer_and_lambda_by_hand(runs: Jobs) -> None:
    """SAMAR to SGD and back, λ held and let go: all in a real worker."""
    run_id = runs.submit(TrainSettings(**LONG))
    wait(runs, run_id, trains)
    runs.pause(run_id)
    paused = wait(runs, run_id, lambda run: run.status == "paused").done
    for k, values in enumerate(
        ({"optimizer": "sgd"}, {"optimizer": "samar", "lam_held": 0.0}, {"lam_held": None}), 1
    ):
        runs.change(run_id, **values)
        runs.step(run_id)
        wait(runs, run_id, lambda run, k=k: run.done == paused + k)
    with pytest.raises(ConfigError, match="lam-held is -1, but it must be at least 0"):
        runs.change(run_id, lam_held=-1)
    live = runs.live_values(runs.get(run_id))
    assert (live["optimizer"], live["lam_held"]) == ("samar", None)
    run = runs.get(run_id)
    steps = runs.store.records.steps(run.key)
    assert steps["lam"][paused:].tolist()[1:] == [0.0, pytest.approx(0.1)]
    assert steps["lam"][paused] != steps["lam"][paused]
    assert {paused, paused + 1, paused + 2} <= set(runs.kept_states(run))
    events = runs.store.records.events(run.key)
    assert steps["loss"].tolist() == replayed(run, events, len(steps["loss"]))
    runs.stop(run_id)
    wait(runs, run_id, lambda run: run.status == "stopped")
    branch_id = runs.branch(run_id, paused)
    branch = wait(runs, branch_id, trains)
    found = runs.store.records.steps(branch.key)
    assert found["loss"][:paused].tolist() == steps["loss"][:paused].tolist()
    assert (found["lam"] > 0).all()  # the other optimizer never took over here
    runs.stop(branch_id)
    wait(runs, branch_id, lambda run: run.status == "stopped")


def replayed(run: Job, events: list[Event], steps: int) -> list[float]:
    """The losses of a run computed again from its config and its recorded changes."""
    trainer = Trainer(run.settings, dataset_of(run.settings))
    for step in range(steps):
        for event in events:
            if event.kind == "change" and event.step == step:
                trainer.change(**values_of(event.detail))
        trainer.step()
    return [record.loss for record in trainer.drain()]


def test_killed_at_any_moment_nothing_is_lost_or_repeated(runs: Jobs) -> None:
    """After ``kill -9`` the run resumes and ends as one that was never killed."""
    config = TrainSettings(**{**LONG, "epochs": 60, "checkpoint_seconds": 0.2})
    run_id = runs.submit(config)
    for _ in range(2):
        before = runs.get(run_id).done
        run = wait(runs, run_id, lambda run, before=before: trains(run) and run.done > before + 50)
        assert run.pid is not None
        os.kill(run.pid, signal.SIGKILL)
        dead = wait(runs, run_id, lambda run: run.status == "interrupted", seconds=30)
        assert dead.done >= run.done
        assert "resume it to go on" in dead.message
        runs.resume(run_id)
    ended = wait(runs, run_id, lambda run: not run.active)
    assert ended.status == "finished"
    # The worker takes its saved state away only after it has said so.
    run = wait(runs, run_id, lambda run: not resume_path(run.id).exists(), seconds=20)
    trainer = Trainer(config, dataset_of(config))
    while not trainer.finished:
        trainer.step()
    assert runs.store.records.steps(run.key)["loss"].tolist() == [r.loss for r in trainer.drain()]


def test_a_second_run_waits_for_its_place(runs: Jobs) -> None:
    first, second, third = (runs.submit(TrainSettings(**LONG)) for _ in range(3))
    wait(runs, first, trains)
    assert runs.get(second).status == "queued"
    runs.pause(first)
    wait(runs, second, trains)
    runs.resume(first)
    waiting = wait(runs, first, lambda run: bool(run.message))
    assert waiting.status == "paused"
    assert waiting.message == WAITS
    runs.pause(first)
    assert wait(runs, first, lambda run: not run.message).status == "paused"
    runs.resume(first)
    wait(runs, first, lambda run: run.message == WAITS)
    runs.stop(second)
    wait(runs, first, lambda run: trains(run) and run.done > waiting.done)
    assert runs.get(second).status == "stopped"
    assert runs.get(third).status == "queued"
    events = [event.kind for event in runs.store.records.events(waiting.key)]
    assert [kind for kind in events if kind in ("paused", "resumed")] == ["paused", "resumed"]
    runs.stop(third)
    runs.stop(first)
    wait(runs, first, lambda run: run.status == "stopped")


def test_missing_images_are_said_before_anything_is_queued(runs: Jobs) -> None:
    with pytest.raises(DataError, match="CIFAR-10 is not on this machine; fetch it"):
        runs.submit(TrainSettings(dataset="cifar10", model="resnet20"))
    with pytest.raises(DataError, match="There is no folder /nowhere; check the path"):
        runs.submit(TrainSettings(dataset="folder:/nowhere"))
    assert runs.store.all() == []


def test_what_goes_wrong_in_the_worker_is_said_in_one_sentence(runs: Jobs, tmp_path: Path) -> None:
    for folder in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        (tmp_path / "images" / folder / "1.png").write_text("no picture")
    run_id = runs.submit(TrainSettings(dataset=f"folder:{tmp_path / 'images'}"))
    end = time.monotonic() + 60
    while (run := runs.get(run_id)).active and time.monotonic() < end:
        time.sleep(0.05)
    assert run.status == "failed"
    assert "1.png" in run.message
    assert "\n" not in run.message


def test_terminated_loses_no_step(runs: Jobs) -> None:
    run_id = runs.submit(TrainSettings(**LONG))
    for _ in range(2):
        before = runs.get(run_id).done
        run = wait(runs, run_id, lambda run, before=before: trains(run) and run.done > before + 20)
        assert run.pid is not None
        os.kill(run.pid, signal.SIGTERM)
        run = wait(runs, run_id, lambda run: run.status == "stopped")
        steps = runs.store.records.steps(run.key)["step"]
        assert steps.tolist() == list(range(1, len(steps) + 1))
        runs.resume(run_id)
    runs.stop(run_id)
    wait(runs, run_id, lambda run: run.status == "stopped")


@pytest.mark.parametrize("paused", [False, True])
def test_a_worker_that_lost_its_run_leaves_it_alone(runs: Jobs, paused: bool) -> None:
    run_id = runs.submit(TrainSettings(**LONG))
    assert runs.get(run_id).pid is not None  # known at once: a slow start is not a dead worker
    run = wait(runs, run_id, trains)
    assert run.pid is not None
    if paused:
        runs.pause(run_id)
        wait(runs, run_id, lambda run: run.status == "paused")
    runs.store.move(run, "stopped")
    psutil.wait_procs([psutil.Process(run.pid)], timeout=20)
    assert not psutil.pid_exists(run.pid)
    assert runs.get(run_id).status == "stopped"
    assert not weights_path(run_id).exists()


def test_a_diverged_run_says_where_and_what_to_do(runs: Jobs) -> None:
    config = {**LONG, "optimizer": "sgd", "lr": 10, "momentum": 0.99, "weight_decay": 1.0}
    run_id = runs.submit(TrainSettings(**config))
    run = wait(runs, run_id, lambda run: not run.active)
    assert run.status == "diverged"
    assert f"at step {run.done + 1}" in run.message
    assert "Lower the learning rate (it is 10)" in run.message


def test_the_number_of_places_must_be_a_number(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMAR_MAX_RUNS", "none")
    with pytest.raises(
        ConfigError, match="SAMAR_MAX_RUNS is 'none', but it must be a whole number"
    ):
        Jobs().submit(TrainSettings())
    assert Jobs().store.all() == []
