"""A server that is away for a while: the work goes on, and nothing is lost or doubled."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from samar.jobs import outbox
from samar.jobs.engine.local import schedule
from samar.jobs.job import Job, job_dir
from samar.jobs.service import Jobs
from samar.jobs.sql.database import StoreBusy
from samar.jobs.store import Store
from samar.jobs.work import JobLost, Work
from samar.kinds.train import Training
from samar.training.settings import TrainSettings
from tests.sameness import difference
from tests.waiting import wait

TINY = {"images_per_class": 13, "batch_size": 16, "device": "cpu"}


@pytest.fixture
def server(postgres: Any, samar_home: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("SAMAR_STORE", postgres.fresh())
    yield postgres
    postgres.start()


@contextmanager
def away_from_12_to_30(server: Any, then: Callable[[Training], None]) -> Iterator[None]:
    """The server stops after a run's 12th step; after its 30th it is as ``then`` says."""
    step = Training.step

    def disturbed(self: Training) -> None:
        step(self)
        if self.taken == 12:
            server.stop()
        if self.taken == 30:
            then(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "step", disturbed)
        yield


def test_a_run_goes_on_without_its_store(
    server: Any, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is stopped in mid-epoch and comes back two epochs later."""
    monkeypatch.setattr(outbox, "AWAY_SECONDS", 0.0)
    jobs = Jobs()
    settings = TrainSettings(**TINY, epochs=5, checkpoint_seconds=0.0)
    calm = jobs.get(jobs.submit(settings))

    def come_back(_: Training) -> None:
        with pytest.raises(StoreBusy, match="goes on when its server is there again"):
            jobs.store.all()
        server.start()

    with away_from_12_to_30(server, come_back):
        run = jobs.get(jobs.submit(settings))
    assert (run.status, run.done) == ("finished", calm.done)
    assert difference(jobs, run, calm) == ""
    assert run.notes[0].startswith("The store was away for ")
    told = [[(e.step, e.kind) for e in jobs.store.records.events(job.key)] for job in (calm, run)]
    assert [each for each in told[1] if each[1] != "away"] == told[0]
    kept = [
        [(a.kind, a.step) for a in jobs.store.records.artifacts(job.key)] for job in (calm, run)
    ]
    assert kept[0] == kept[1]
    assert all((job_dir(run.id) / a.path).is_file() for a in jobs.store.records.artifacts(run.key))


def test_killed_while_the_store_was_away_it_resumes_from_what_the_store_knows(
    server: Any, inline: None
) -> None:
    """A state that was saved meanwhile would be ahead of the records."""
    jobs = Jobs()
    settings = TrainSettings(**TINY, epochs=4, checkpoint_seconds=0.0)
    calm = jobs.get(jobs.submit(settings))

    def kill(_: Training) -> None:
        raise KeyboardInterrupt

    with away_from_12_to_30(server, kill), pytest.raises(KeyboardInterrupt):
        jobs.submit(settings)
    server.start()
    (run, *_) = jobs.store.all("train")
    known = jobs.store.records.steps(run.key)["step"]
    assert known.tolist() == list(range(1, len(known) + 1))
    assert len(known) < 30
    assert jobs.store.move(run, "interrupted")
    jobs.resume(run.id)
    run = jobs.get(run.id)
    assert run.status == "finished"
    assert difference(jobs, run, calm) == ""


def test_a_worker_of_its_own_outlives_its_server(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it for longer than makes a job look dead."""
    monkeypatch.setattr("samar.jobs.store.STALE_SECONDS", 2.0)
    jobs = Jobs()
    settings = TrainSettings(**TINY, epochs=12)
    calm = jobs.submit(settings)
    wait(jobs, calm, lambda job: job.status == "finished")
    run_id = jobs.submit(settings)
    wait(jobs, run_id, lambda job: job.done > 20)
    server.stop()
    time.sleep(3.0)
    server.start()
    schedule(jobs.store)  # nobody takes it for dead
    run = wait(jobs, run_id, lambda job: job.status == "finished")
    assert difference(jobs, run, jobs.get(calm)) == ""


def test_whose_job_another_has_writes_nothing(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samar.jobs.work.FLUSH_SECONDS", 600.0)  # only when the test says so
    store = Store()
    store.create(TrainSettings())
    job = store.claim_next("long", limit=1)
    assert job is not None
    with Work(store, job) as work:
        work.flush()  # else the thread has a first sign of life to give
        server.stop()
        work.emit("found", 3)
        assert not work.write_down()
        server.start()
        other = Store()
        other.move(job, "stopped")
        other.requeue(other.get(job.id))
        again = other.claim_next("long", limit=1)
        assert again is not None
        with pytest.raises(JobLost):
            _go_on(work)
    assert other.records.events(job.key) == []


def _go_on(work: Work) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        work.check()
        work.write_down()


def test_two_servers_share_the_work(
    server: Any, monkeypatch: pytest.MonkeyPatch, recorded: Callable[..., Any]
) -> None:
    """Each machine takes as many as it has places for; a job is taken once."""
    stores = [Store(), Store()]
    ids = [stores[0].create(TrainSettings()) for _ in range(3)]
    taken: dict[str, list[Job]] = {"one": [], "two": []}
    for host in ("one", "two", "one", "two"):
        monkeypatch.setattr("samar.jobs.store.socket.gethostname", lambda host=host: host)
        if (job := stores[host == "two"].claim_next("long", limit=1)) is not None:
            taken[host].append(job)
    assert [[job.id for job in jobs] for jobs in taken.values()] == [[ids[0]], [ids[1]]]
    assert [job.host for jobs in taken.values() for job in jobs] == ["one", "two"]
    stores[0].beat(taken["one"][0], pid=os.getpid(), heartbeat=0.0)
    stores[1].mark_interrupted()  # what is silent elsewhere is taken for dead
    assert stores[1].get(ids[0]).status == "interrupted"
    assert stores[0].beat(taken["one"][0])
    assert stores[1].get(ids[0]).status == "running"
