"""Runs that are observed: bit for bit those that are not, at any pace, whatever becomes of it."""

import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from samar.cli import main
from samar.errors import ConfigError
from samar.jobs.edits import PlannedEdit
from samar.jobs.engine.companion import Companion
from samar.jobs.job import Job
from samar.jobs.pace import EPOCH, OFF, parse_pace
from samar.jobs.records import CHANGE, CURVATURE, ESTIMATE, PLANE
from samar.jobs.service import Jobs
from samar.kinds import train
from samar.kinds.race import RaceSettings
from samar.training import observing
from samar.training.observing import Observing
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer
from tests.forked import FORKS, workers_of
from tests.sameness import difference

TINY = {"images_per_class": 13, "batch_size": 32, "device": "cpu", "epochs": 4}
STEPS = 5  # an epoch
EPOCHS = [0, 5, 10, 15, 20]


@pytest.fixture
def here(inline: None, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """The service; jobs are done in this process, and end without finer measurements."""
    monkeypatch.setattr(Observing, "refine", lambda self: None)
    return Jobs()


def measured(jobs: Jobs, job: Job, kind: str = PLANE) -> list[int]:
    """At which steps it was measured."""
    events = jobs.store.records.events(job.key)
    return sorted({event.step for event in events if event.kind == kind})


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def wait(jobs: Jobs, job_id: str, until: Callable[[Job], bool], seconds: float = 90) -> Job:
    end = time.monotonic() + seconds
    while not until(job := jobs.get(job_id)):
        assert time.monotonic() < end, f"{job.status} at {job.done}: {job.message}"
        time.sleep(0.02)
    return job


def trained(jobs: Jobs, settings: Any, pace: str, **words: Any) -> Job:
    return jobs.get(jobs.submit(settings, pace=pace, **words))


@pytest.mark.parametrize(
    "network", [{}, {"model": "cnn", "label_noise": 0.2, "augment": "crop_flip"}]
)
def test_an_observed_run_is_the_run_bit_for_bit(here: Jobs, network: dict[str, Any]) -> None:
    settings = TrainSettings(**TINY, **network)
    edits = [PlannedEdit(step=7, values={"rho": 0.3})]
    plain, seen = (trained(here, settings, pace, edits=edits) for pace in (OFF, EPOCH))
    assert difference(here, seen, plain) == ""
    assert not measured(here, plain)
    assert measured(here, plain, CURVATURE) == []
    for kind in (PLANE, CURVATURE, ESTIMATE):
        assert measured(here, seen, kind) == EPOCHS
    counted = seen.summary["observed"]
    assert (counted["planes"], counted["eigenvalue_estimates"]) == (5, 5)
    assert 0 < counted["oldest_plane_seconds"] < 60
    assert "observed" not in plain.summary


def test_members_of_an_observed_race_are_the_same_in_the_same_directions(here: Jobs) -> None:
    settings = RaceSettings(**TINY, optimizers="sgd,samar")
    plain, seen = (trained(here, settings, pace) for pace in (OFF, EPOCH))
    planes = []
    for one, other in zip(here.members(seen.id), here.members(plain.id), strict=True):
        assert difference(here, one, other) == ""
        assert measured(here, one) == EPOCHS
        events = here.store.records.events(one.key)
        planes.append([event.detail["loss"] for event in events if event.kind == PLANE])
        assert one.summary["observed"]["planes"] == 5
    assert planes[0][0] == planes[1][0], "one draw, and the same weights at first"
    assert planes[0][-1] != planes[1][-1]


def test_stopped_resumed_and_branched_it_is_the_same(
    here: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = trained(here, TrainSettings(**TINY, snapshots=4), OFF)
    step = train.Training.step

    def stopping(self: train.Training) -> None:
        step(self)
        if self.taken == 8:
            self.work.stopping = True

    with monkeypatch.context() as patch:
        patch.setattr(train.Training, "step", stopping)
        early = trained(here, TrainSettings(**TINY, snapshots=4), EPOCH)
    assert (early.status, early.done) == ("stopped", 8)
    assert measured(here, early) == [0, 5]
    here.resume(early.id)
    seen = here.get(early.id)
    assert difference(here, seen, plain) == ""
    assert measured(here, seen) == [0, 5, 8, 10, 15, 20]
    branch = here.get(here.branch(seen.id, 10))
    assert difference(here, branch, plain) == ""
    assert measured(here, branch) == [0, 5, 8, 10, 15, 20]


@pytest.mark.skipif(not FORKS, reason="processes of tests are known as forked ones")
def test_several_processes_are_observed_and_none_stays(
    jobs: Jobs, samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = TINY | {"ranks": 2, "batch_size": 26}
    runs = []
    for pace in (OFF, EPOCH):
        job_id = jobs.submit(TrainSettings(**ranks), pace=pace)
        runs.append(wait(jobs, job_id, lambda job: not job.active))
    assert difference(jobs, runs[1], runs[0]) == ""
    assert measured(jobs, runs[1]) == EPOCHS

    job_id = jobs.submit(TrainSettings(**ranks | {"epochs": 4000}), pace=EPOCH)
    killed = wait(jobs, job_id, lambda job: job.done > 20)
    assert killed.pid is not None
    assert len(workers_of(samar_home)) >= 3  # two that train, and the observer
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: not workers_of(samar_home), seconds=5)  # no process stays behind


@pytest.fixture
def companions(monkeypatch: pytest.MonkeyPatch) -> list[Companion]:
    """Every observer that is started."""
    started: list[Companion] = []
    plain = Companion.__init__

    def init(self: Companion, *words: Any) -> None:
        plain(self, *words)
        started.append(self)

    monkeypatch.setattr(Companion, "__init__", init)
    monkeypatch.setattr(observing, "RESTART_SECONDS", 0.05)
    return started


def test_a_killed_observer_is_replaced_and_nothing_waits_for_a_dead_one(
    here: Jobs, companions: list[Companion], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = train.Training.step
    killed: list[int] = []

    def killing(self: train.Training) -> None:
        step(self)
        if self.taken in (7, 10) and self.taken not in killed:  # within an epoch, and at an end
            until(lambda: len(companions) > len(killed))
            killed.append(self.taken)
            os.kill(companions[-1].pid, signal.SIGKILL)
        if self.taken == 14:  # the next one is there by then
            until(lambda: len(companions) > len(killed))

    plain = trained(here, TrainSettings(**TINY), OFF)
    with monkeypatch.context() as patch:
        patch.setattr(train.Training, "step", killing)
        seen = trained(here, TrainSettings(**TINY), EPOCH)
    assert (seen.status, killed) == ("finished", [7, 10])
    assert difference(here, seen, plain) == ""
    assert measured(here, seen)[-2:] == [15, 20]
    told = [e.detail["reason"] for e in here.store.records.events(seen.key) if e.kind == "observer"]
    assert told == ["The observer of this run ended before its time; another takes its place."]


def test_at_most_so_many_moments_are_kept(here: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "MOST_MOMENTS", 8)
    settings = TrainSettings(**TINY | {"epochs": 20})
    run = trained(here, settings, EPOCH, edits=[PlannedEdit(step=10, values={"rho": 0.3})])
    kept = measured(here, run)
    assert len(kept) <= 8
    assert {0, 10, 100} <= set(kept), "the first, the last and that of an edit"
    assert kept == measured(here, run, CURVATURE) == measured(here, run, ESTIMATE)
    gaps = [after - before for before, after in pairwise(kept)]
    assert max(gaps) <= 50, "they are spread over the run"
    assert run.summary["observed"]["planes"] == 21
    assert run.summary["thinned"] > 0


def test_after_its_end_the_last_landscape_becomes_finer(inline: None) -> None:
    jobs = Jobs()
    run = trained(jobs, TrainSettings(**TINY | {"epochs": 1}), EPOCH)
    events = jobs.store.records.events(run.key)
    order = [event.kind for event in events]
    after = [event for event in events[order.index("finished") :] if event.kind == PLANE]
    assert [len(event.detail["axis"]) for event in after] == [17, 33]
    assert {event.step for event in after} == {STEPS}
    (curvature,) = (e for e in events[order.index("finished") :] if e.kind == CURVATURE)
    assert len(curvature.detail["values"]) == 5


def test_orders_are_obeyed_while_an_epoch_is_evaluated(
    here: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change, a pause and a stop; the evaluation is made up for, bit for bit."""
    plain = trained(here, TrainSettings(**TINY), OFF)
    evaluate, parts = Trainer.evaluate_epoch, list[int]()

    def ordering(self: Trainer, check: Callable[[], None]) -> Any:
        def stopping() -> None:
            parts.append(self.step_count)
            if len(parts) == 2:
                (job,) = here.all(status=("running",))
                here.stop(job.id)
                end = time.monotonic() + 10
                while time.monotonic() < end:
                    check()
                    time.sleep(0.01)
            check()

        return evaluate(self, stopping)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "evaluate_epoch", ordering)
        early = trained(here, TrainSettings(**TINY), OFF)
    assert (early.status, early.done, parts) == ("stopped", STEPS, [STEPS, STEPS])
    assert not len(here.store.records.epochs(early.key)["step"])
    here.resume(early.id)
    assert difference(here, here.get(early.id), plain) == ""


def test_a_change_in_the_midst_of_an_evaluation_is_made_at_once(
    here: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, seen = Trainer.evaluate_epoch, list[float]()

    def ordering(self: Trainer, check: Callable[[], None]) -> Any:
        (job,) = here.all(status=("running",))
        if self.step_count == STEPS:
            here.change(job.id, rho=0.7)
            end = time.monotonic() + 10
            while self.config.rho != 0.7 and time.monotonic() < end:
                check()
                time.sleep(0.01)
            seen.append(self.config.rho)
        return evaluate(self, check)

    monkeypatch.setattr(Trainer, "evaluate_epoch", ordering)
    run = trained(here, TrainSettings(**TINY), OFF)
    assert seen == [0.7]
    changes = [e.step for e in here.store.records.events(run.key) if e.kind == CHANGE]
    assert changes == [STEPS]
    assert run.status == "finished"


@pytest.mark.parametrize(
    ("text", "pace"), [("off", "off"), (" Fast ", "fast"), ("epoch", "epoch"), ("2.50", "2.5")]
)
def test_paces(text: str, pace: str) -> None:
    assert parse_pace(text) == pace


@pytest.mark.parametrize("text", ["", "quick", "0", "-1", "nan", "inf"])
def test_what_is_no_pace_is_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="but it must be off, fast, epoch or the most epochs"):
        parse_pace(text)


def test_a_number_is_the_most_epochs_a_second(here: Jobs) -> None:
    began = time.monotonic()
    run = trained(here, TrainSettings(**TINY | {"epochs": 2}), "2")
    took = time.monotonic() - began
    assert took > 0.8
    steps = here.store.records.steps(run.key)["seconds"]
    assert steps[-1] < took - 0.4, "the wait is no time of the training"


def test_a_pace_is_changed_on_the_way_and_kept(
    jobs: Jobs, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = jobs.submit(TrainSettings(**TINY | {"epochs": 4000}), pace="off")
    wait(jobs, job_id, lambda job: job.done > 10)
    assert main(["pace", job_id, "epoch"]) == 0
    run = wait(jobs, job_id, lambda job: job.summary.get("pace") == "epoch")
    until(lambda: len(measured(jobs, run)) >= 4)
    assert all(step % STEPS == 0 for step in measured(jobs, run)[1:])
    jobs.stop(job_id)
    wait(jobs, job_id, lambda job: job.status == "stopped")
    before = jobs.get(job_id).done
    jobs.resume(job_id)
    wait(jobs, job_id, lambda job: max(measured(jobs, job)) > before)
    jobs.stop(job_id)
    run = wait(jobs, job_id, lambda job: job.status == "stopped")
    assert run.summary["pace"] == "epoch"
    assert main(["pace", job_id, "soon"]) == 2
    assert "The pace is 'soon', but it must be" in capsys.readouterr().err
