"""A measurement within a run gives way to Pause and Stop; no order is lost or obeyed twice."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from samar.jobs.engine.worker import run as work
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.kinds.race import RaceSettings
from samar.training import measurements
from samar.training.settings import TrainSettings

TINY: dict[str, Any] = {"images_per_class": 13, "batch_size": 32, "device": "cpu", "epochs": 3}
FILMED: dict[str, Any] = {**TINY, "curvature_every": 0, "probe_share": 1.0}
STEPS = 5  # an epoch
PIECES, SECONDS = 150, 0.01

Orders = Sequence[tuple[str, Mapping[str, Any]]]


class Slow:
    """Makes every landscape of a run take seconds more, and gives orders meanwhile.

    Attributes:
        during: orders given in the n-th landscape, from 0.
        paused: orders given when the run is paused, each time the next.
        pieces: of each landscape, how many went by.
    """

    def __init__(self, during: Mapping[int, Orders], paused: Sequence[Orders] = ()) -> None:
        self.during, self.paused = during, list(paused)
        self.pieces: list[int] = []

    @property
    def given_up(self) -> list[bool]:
        """Of each landscape, whether it was."""
        return [pieces < PIECES for pieces in self.pieces]


@pytest.fixture
def jobs(inline: None) -> Jobs:
    return Jobs()


@pytest.fixture
def done(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Job]:
    """Do a job, or go on with one, while it is slow to measure."""

    def do(what: TrainSettings | str, slow: Slow) -> Job:
        def give(store: Store, job: Job, orders: Orders) -> None:
            for command, detail in orders:
                store.orders.post(job.key, command, **detail)

        def start(store: Store, job: Job) -> None:
            plane, move = measurements.plane, Store.move

            def slow_plane(*args: Any, check: Callable[[], None], **words: Any) -> Any:
                number = len(slow.pieces)
                slow.pieces.append(0)
                orders = slow.during.get(number, ())
                give(store, job, orders)
                while slow.pieces[number] < PIECES * bool(orders):
                    time.sleep(SECONDS)
                    check()
                    slow.pieces[number] += 1
                slow.pieces[number] = PIECES
                return plane(*args, check=check, **words)

            def moved(store: Store, job: Job, status: str, *args: Any, **words: Any) -> bool:
                found = move(store, job, status, *args, **words)
                if status == "paused":
                    give(store, job, slow.paused.pop(0))
                return found

            with monkeypatch.context() as patch:
                patch.setattr(measurements, "plane", slow_plane)
                patch.setattr(Store, "move", moved)
                work(store, job)

        with monkeypatch.context() as patch:
            patch.setattr("samar.jobs.engine.local._start", start)
            if isinstance(what, str):
                jobs.resume(what)
                return jobs.get(what)
            return jobs.get(jobs.submit(what))

    return do


def events(jobs: Jobs, job: Job) -> list[tuple[int, str]]:
    """What happened when, but the starts, and the curvature that "measure" takes too."""
    found = jobs.store.records.events(job.key)
    return [(e.step, e.kind) for e in found if e.kind not in ("started", "curvature")]


def losses(jobs: Jobs, job: Job) -> list[float]:
    steps = jobs.store.records.steps(job.key)
    assert steps["step"].tolist() == [*range(1, len(steps["step"]) + 1)]
    return list(np.asarray(steps["loss"]).tolist())


def plain(jobs: Jobs, **changes: Any) -> list[float]:
    """The losses of a run that nobody measures or disturbs."""
    settings = {**FILMED, "film_every": 0, **changes}
    return losses(jobs, jobs.get(jobs.submit(TrainSettings(**settings))))


def test_stopped_in_mid_measurement_and_resumed(jobs: Jobs, done: Callable[..., Job]) -> None:
    slow = Slow({0: [("stop", {})]})
    run = done(TrainSettings(**FILMED), slow)
    assert (run.status, run.done) == ("stopped", 0)
    assert slow.given_up == [True]
    assert events(jobs, run) == [(0, "stopped")]
    slow = Slow({1: [("stop", {})]})
    run = done(run.id, slow)
    assert (run.status, run.done) == ("stopped", STEPS)
    assert slow.given_up == [False, True]
    assert jobs.store.records.steps_of(run.key, "film_plane") == [0]
    run = done(run.id, Slow({}))
    assert run.status == "finished"
    filmed = [step for step, kind in events(jobs, run) if kind == "film"]
    assert filmed == [0, 2 * STEPS, 3 * STEPS]
    assert losses(jobs, run) == plain(jobs)


def test_paused_in_mid_measurement_it_obeys_in_order_and_once(
    jobs: Jobs, done: Callable[..., Job]
) -> None:
    change = {"lr": 0.02}
    meanwhile: Orders = [("change", change), ("pause", {}), ("step", {})]
    slow = Slow({1: meanwhile}, paused=[[("resume", {})]])
    run = done(TrainSettings(**{**FILMED, "film_every": 2, "epochs": 4}), slow)
    assert run.status == "finished"
    assert slow.given_up == [False, True, False, False]
    assert events(jobs, run) == [
        (0, "film"),
        (2 * STEPS, "change"),
        (2 * STEPS, "paused"),
        (2 * STEPS + 1, "resumed"),
        (3 * STEPS, "film"),  # the next chance
        (4 * STEPS, "film"),
        (4 * STEPS, "finished"),
    ]
    found = losses(jobs, run)
    usual = plain(jobs, epochs=4)
    assert found[: 2 * STEPS] == usual[: 2 * STEPS]
    assert found[-1] != usual[-1]


def test_in_a_race_all_give_way(jobs: Jobs, done: Callable[..., Job]) -> None:
    """The first landscape, of the first racer; then one between epochs, of the second."""
    meanwhile: Orders = [("change", {"lr": 0.02}), ("pause", {})]
    resume: Orders = [("resume", {})]
    slow = Slow({0: [("pause", {})], 3: meanwhile}, paused=[resume, resume])
    race = done(RaceSettings(**FILMED, optimizers="sgd,samar"), slow)
    assert race.status == "finished"
    assert slow.given_up == [True, False, False, True, *[False] * 4]
    sgd, samar = jobs.members(race.id)
    assert events(jobs, sgd) == [
        *[(0, "paused"), (0, "resumed"), (0, "film")],
        *[(STEPS, "film"), (STEPS, "change"), (STEPS, "paused"), (STEPS, "resumed")],
        *[(2 * STEPS, "film"), (3 * STEPS, "film"), (3 * STEPS, "finished")],
    ]
    filmed = [step for step, kind in events(jobs, samar) if kind == "film"]
    assert filmed == [0, 2 * STEPS, 3 * STEPS]
    assert jobs.store.records.steps_of(samar.key, "film_plane") == filmed
    for run in (sgd, samar):
        usual = plain(jobs, optimizer=run.settings.optimizer)
        assert losses(jobs, run)[:STEPS] == usual[:STEPS]
        assert losses(jobs, run) != usual
