"""A training run while it is watched: measured, steered, gone back to, and its labels looked at."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from samar.errors import ConfigError, RunError
from samar.jobs.engine.worker import run as work
from samar.jobs.job import Job, job_dir, resume_path
from samar.jobs.service import Jobs
from samar.jobs.training_records import EpochRecord
from samar.jobs.work import JobLost
from samar.kinds import train as kind
from samar.networks.checkpoint import load_resume_state
from samar.networks.load import load_network
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer
from tests.sameness import difference

TINY = {"images_per_class": 13, "batch_size": 32, "device": "cpu"}
PLAIN = {**TINY}
STEPS = 5  # an epoch


@pytest.fixture
def jobs(inline: None) -> Jobs:
    return Jobs()


def kinds_at(jobs: Jobs, job: Job, *kinds: str) -> list[tuple[int, str]]:
    events = jobs.store.records.events(job.key)
    return [(event.step, event.kind) for event in events if event.kind in kinds]


@pytest.fixture
def ordered(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Train a run that finds these orders after its first step."""

    def train(settings: TrainSettings, *orders: tuple[str, dict[str, Any]]) -> Job:
        def start(store: Any, job: Job) -> None:
            step = kind.Training.step

            def and_give(training: kind.Training) -> None:
                step(training)
                if training.taken == 1:
                    for command, detail in orders:
                        store.orders.post(job.key, command, **detail)
                    training.work.listen()

            with monkeypatch.context() as patch:
                patch.setattr(kind.Training, "step", and_give)
                work(store, job)

        with monkeypatch.context() as patch:
            patch.setattr("samar.jobs.engine.local._start", start)
            return jobs.get(jobs.submit(settings))

    return train


def test_a_run_says_what_it_is_about(jobs: Jobs) -> None:
    run = jobs.get(jobs.submit(TrainSettings(**TINY, epochs=2)))
    assert run.status == "finished"
    normalization = asdict(dataset_of(run.settings).normalization)
    about = {"classes": 10, "steps_per_epoch": STEPS, **normalization}
    assert run.summary["about"] == json.loads(json.dumps(about))
    assert json.loads(json.dumps(dict(run.summary))) == run.summary


def test_answers_to_wrong_labels_after_every_epoch(jobs: Jobs) -> None:
    run = jobs.get(jobs.submit(TrainSettings(**PLAIN, epochs=3, label_noise=0.4)))
    assert kinds_at(jobs, run, "labels") == [(STEPS * n, "labels") for n in range(4)]
    (artifact,) = jobs.store.records.artifacts(run.key, "mislabelled")
    with np.load(job_dir(run.id) / artifact.path, allow_pickle=False) as found:
        assert (found["given"] != found["true"]).all()
        assert len(found["images"]) == 10
    jobs.store.records.rewind(run.key, STEPS)
    assert kinds_at(jobs, run, "labels") == [(0, "labels"), (STEPS, "labels")]
    clean = jobs.get(jobs.submit(TrainSettings(**PLAIN, epochs=1)))
    assert kinds_at(jobs, clean, "labels") == []
    assert not jobs.store.records.artifacts(clean.key, "mislabelled")


def test_states_are_kept_with_the_weights_and_before_a_change(
    jobs: Jobs, ordered: Callable[..., Job]
) -> None:
    settings = TrainSettings(**PLAIN, epochs=4, snapshots=2)
    run = ordered(settings, ("change", {"rho": 0.4}), ("change", {"optimizer": "sgd"}))
    assert jobs.store.records.steps_of(run.key, "snapshot") == [0, 2 * STEPS, 4 * STEPS]
    assert jobs.kept_states(run) == [0, 1, 2 * STEPS]  # none at the end
    state = load_resume_state(job_dir(run.id) / "states/state-1.pt")
    assert (state["step"], state["config"]["rho"]) == (1, settings.rho)
    none = jobs.get(jobs.submit(TrainSettings(**PLAIN, epochs=2, snapshots=0)))
    assert jobs.kept_states(none) == []
    with pytest.raises(RunError, match="kept no moment to go back to; train it again"):
        jobs.branch(none.id)


def test_states_make_room(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    first = jobs.get(jobs.submit(TrainSettings(**PLAIN, epochs=1)))
    size = (job_dir(first.id) / "states/state-0.pt").stat().st_size
    monkeypatch.setattr(kind, "STATE_BYTES", 5 * size)
    run = jobs.get(jobs.submit(TrainSettings(**PLAIN, epochs=12)))
    kept = jobs.kept_states(run)
    files = sorted((job_dir(run.id) / "states").iterdir())
    assert len(kept) == len(files)
    assert sum(file.stat().st_size for file in files) <= 5 * size
    assert kept[-1] == 11 * STEPS
    monkeypatch.setattr(kind, "STATE_BYTES", size // 4)
    assert jobs.kept_states(jobs.get(jobs.submit(TrainSettings(**PLAIN, epochs=2)))) == []


def test_a_branch_without_changes_is_the_run_again(jobs: Jobs) -> None:
    settings = TrainSettings(**TINY, epochs=4, label_noise=0.2, augment="crop_flip_cutout")
    run = jobs.get(jobs.submit(settings))
    before = (len(jobs.store.records.events(run.key)), run.summary)
    files = {path: path.stat().st_size for path in job_dir(run.id).rglob("*") if path.is_file()}
    first = jobs.get(jobs.branch(run.id, 2 * STEPS))
    again = jobs.get(jobs.branch(first.id, 3 * STEPS))
    for branch in (first, again):
        assert (branch.status, branch.message) == ("finished", "")
        assert difference(jobs, branch, run) == ""
        assert kinds_at(jobs, branch, "labels") == kinds_at(jobs, run, "labels")
        for artifact in jobs.store.records.artifacts(branch.key):
            assert (job_dir(branch.id) / artifact.path).is_file()
        assert not resume_path(branch.id).exists()
    assert first.inputs["branch"] == {"run": run.id, "step": 2 * STEPS, "title": run.title}
    assert again.inputs["branch"]["run"] == first.id
    assert (first.settings.name, again.settings.name) == (
        "Branch, from step 10",
        "Branch, from step 15",
    )
    run = jobs.get(run.id)
    assert (len(jobs.store.records.events(run.key)), run.summary) == before
    assert files == {p: p.stat().st_size for p in job_dir(run.id).rglob("*") if p.is_file()}
    jobs.delete(run.id)
    assert all(
        (job_dir(first.id) / a.path).is_file() for a in jobs.store.records.artifacts(first.key)
    )


def test_a_branch_changes_what_it_is_told(jobs: Jobs, ordered: Callable[..., Job]) -> None:
    run = ordered(TrainSettings(**PLAIN, epochs=4), ("change", {"rho": 0.4}))
    job_id = jobs.branch(run.id, 2 * STEPS, optimizer="sgd", lr=0.01, name="the other way")
    branch = jobs.get(job_id)
    assert branch.title == "the other way"
    assert branch.settings.changed(name="") == run.settings
    live = jobs.live_values(branch)
    assert (live["rho"], live["optimizer"], live["lr"]) == (0.4, "sgd", 0.01)
    changes = [e for e in jobs.store.records.events(branch.key) if e.kind == "change"]
    assert [(e.step, e.detail) for e in changes][-1] == (
        2 * STEPS,
        {"optimizer": "sgd", "lr": 0.01, "by": "script"},
    )
    assert (branch.edits, run.edits) == (2, 1)
    steps = jobs.store.records.steps(branch.key)
    assert np.isfinite(steps["lam"][: 2 * STEPS]).all()
    assert np.isnan(steps["lam"][2 * STEPS :]).all()
    assert steps["lr"][2 * STEPS] < 0.01 < steps["lr"][2 * STEPS - 1]
    # From before a change that was made at that very step.
    early = jobs.get(jobs.branch(run.id, 1))
    assert jobs.live_values(early)["rho"] == TrainSettings().rho


def stopped_after_a_step(store: Any, job: Job) -> None:
    """Do a job that is told to stop in its first step."""
    step = kind.Training.step

    def and_stop(training: kind.Training) -> None:
        step(training)
        store.orders.post(job.key, "stop")
        training.work.listen()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind.Training, "step", and_stop)
        work(store, job)


def test_a_branch_that_is_stopped_resumes_with_its_changes(
    jobs: Jobs, ordered: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ordered(TrainSettings(**PLAIN, epochs=4))
    whole = jobs.get(jobs.branch(run.id, 2 * STEPS, rho=0.5))

    monkeypatch.setattr("samar.jobs.engine.local._start", stopped_after_a_step)
    part = jobs.get(jobs.branch(run.id, 2 * STEPS, rho=0.5))
    assert part.status == "stopped"
    assert 2 * STEPS < part.done < 4 * STEPS
    monkeypatch.setattr("samar.jobs.engine.local._start", work)
    jobs.resume(part.id)
    assert difference(jobs, jobs.get(part.id), whole) == ""


def test_an_interrupted_run_is_measured_at_its_newest_state_and_step(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(store: Any, job: Job) -> None:
        def end(self: kind.Training) -> None:
            self.work.write_down()
            raise JobLost

        with monkeypatch.context() as patch:
            patch.setattr(kind.Training, "end", end)
            work(store, job)
        store.move(job, "interrupted")

    monkeypatch.setattr("samar.jobs.engine.local._start", stopped_after_a_step)
    settings = TrainSettings(**PLAIN, epochs=4, snapshots=0, checkpoint_seconds=0)
    run = jobs.get(jobs.submit(settings))
    early = load_network(jobs.store, run.id)
    assert early.facts["step"] == run.done > 0
    monkeypatch.setattr("samar.jobs.engine.local._start", kill)
    jobs.resume(run.id)
    run = jobs.get(run.id)
    saved = load_resume_state(resume_path(run.id))
    assert run.status == "interrupted"
    assert early.facts["step"] < saved["step"] < run.done
    found = load_network(jobs.store, run.id)
    assert found.facts["step"] == saved["step"]
    assert all((w == saved["model"][n]).all() for n, w in found.model.named_parameters())
    assert jobs.store.records.artifacts(run.key, "weights") == []


def test_what_a_branch_refuses(jobs: Jobs) -> None:
    run = jobs.get(jobs.submit(TrainSettings(**PLAIN, epochs=2)))
    with pytest.raises(RunError, match=r"no moment at step 3; choose one of the steps 0, 5\."):
        jobs.branch(run.id, 3)
    with pytest.raises(ConfigError, match="epochs cannot change while a run trains"):
        jobs.branch(run.id, 5, epochs=9)
    with pytest.raises(ConfigError, match="rho is 9, but it must be at most 5"):
        jobs.branch(run.id, 5, rho=9)
    assert [job.id for job in jobs.store.all()] == [run.id]
    assert jobs.get(jobs.branch(run.id)).inputs["branch"]["step"] == 5


def test_the_best_epoch_is_one_of_those_that_were_recorded(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = [0.9]

    def evaluate(self: Trainer, check: Callable[[], None]) -> EpochRecord:
        record = plain(self, check)
        return replace(record, test_accuracy=best[0] / record.epoch)

    def kill(self: kind.Training) -> None:
        if self.taken > STEPS:
            raise KeyboardInterrupt
        step(self)

    plain, step = Trainer.evaluate_epoch, kind.Training.step
    monkeypatch.setattr(Trainer, "evaluate_epoch", evaluate)
    settings = TrainSettings(**PLAIN, epochs=3)
    with monkeypatch.context() as patch:
        patch.setattr(kind.Training, "step", kill)
        with pytest.raises(KeyboardInterrupt):
            jobs.submit(settings)
    (run,) = jobs.all()
    assert run.summary["peak"] == 0.9
    assert jobs.store.move(run, "interrupted")
    best[0] = 0.6  # that epoch is trained again, because no state was saved after it
    jobs.resume(run.id)
    assert jobs.get(run.id).summary["peak"] == 0.6
    branch = jobs.get(jobs.branch(run.id, 2 * STEPS))
    assert (branch.status, branch.summary["peak"]) == ("finished", 0.6)
