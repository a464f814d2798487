"""What the address puts onto the stage, without a browser."""

import gc
import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from samar.errors import DataError, RunError
from samar.jobs.job import Job
from samar.jobs.records import Artifact, Event
from samar.jobs.service import Jobs
from samar.kinds.landscape import LandscapeJobSettings
from samar.kinds.race import RaceSettings
from samar.training.settings import TrainSettings
from samar.web.service import service
from samar.web.train import stage
from samar.web.train.planes import planes

TRAIN = "pages/experiment/train.py"


APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def queued(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Jobs that nobody starts."""
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    return Jobs()


@pytest.fixture
def app(queued: Jobs) -> AppTest:
    """The app over the same store."""
    return AppTest.from_file(str(APP), default_timeout=30)


def open_train(app: AppTest, **query: str) -> AppTest:
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page(TRAIN).run()


def told(app: AppTest) -> str:
    return " ".join(each.value for each in (*app.subheader, *app.error)).replace("\\", "")


def test_a_race_stands_on_the_stage_by_its_id(app: AppTest, queued: Jobs) -> None:
    race = queued.submit(RaceSettings(optimizers="sgd,samar", label_noise=0.2))
    open_train(app, run=race)
    assert not app.exception
    assert "SGD, SAMAR" in told(app)
    assert not app.button(key="button_stop").disabled
    assert app.button(key="button_race").disabled
    # One of them alone is an ordinary run.
    member = queued.members(race)[1]
    open_train(app, run=member.id)
    assert not app.exception
    assert "SAMAR" in told(app)


def test_a_race_is_watched_until_it_has_ended_itself(queued: Jobs) -> None:
    # A moment passes between the end of its last run and its own.
    race = stage.shown_of(queued.submit(RaceSettings(optimizers="sgd,samar")))
    assert race.whole is not None
    runs = tuple(replace(run, status="finished") for run in race.runs)
    running, finished = (replace(race.whole, status=word) for word in ("running", "finished"))
    assert stage.Shown(running, runs).active
    assert not stage.Shown(finished, runs).active


def test_any_runs_stand_together_on_the_stage(app: AppTest, queued: Jobs) -> None:
    ids = [queued.submit(TrainSettings(seed=seed)) for seed in range(3)]
    open_train(app, runs=",".join(ids))
    assert not app.exception
    assert "3 runs" in told(app)
    assert app.button(key="button_stop").disabled
    open_train(app, runs=f"{ids[0]},nothing")
    assert "There is no run 'nothing'" in told(app)


def test_what_is_no_run_is_answered_in_a_sentence(app: AppTest, queued: Jobs) -> None:
    settings = LandscapeJobSettings(network="nothing")
    job = queued.store.create(settings)
    open_train(app, run=job)
    assert not app.exception
    assert f"There is no run {job!r}" in told(app)


def test_all_who_watch_a_run_share_one_look(queued: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    run = queued.submit(TrainSettings())
    read: list[object] = []
    shown_of = stage.shown_of
    monkeypatch.setattr(stage, "shown_of", lambda *what: read.append(what) or shown_of(*what))
    monkeypatch.setattr(stage, "SHARED_SECONDS", 1e6)
    look = stage._look(run, ())
    assert stage._look(run, ()) is look
    assert stage._look(run, ("other",)) is not look
    assert look.seen() is look.seen()
    assert len(read) == 1
    look.forget()
    assert [job.id for job in look.seen()[0].runs] == [run]
    assert len(read) == 2
    queued.stop(run)
    queued.delete(run)
    look.forget()
    for _ in range(2):
        with pytest.raises(stage.Gone, match=run):
            look.seen()
    assert len(read) == 3
    kept = weakref.ref(look)
    del look
    gc.collect()
    assert kept() is None


def test_records_that_cannot_be_read_are_said_on_the_page(
    app: AppTest, queued: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(run: object) -> None:
        raise RunError("The records are damaged; see python -m samar doctor.")

    run = queued.submit(TrainSettings())
    monkeypatch.setattr(stage, "history", damaged)
    open_train(app, run=run)
    assert not app.exception
    assert "records are damaged" in told(app)


def test_the_pill_says_at_what_lambda_is_held(app: AppTest, queued: Jobs) -> None:
    run_id = queued.submit(TrainSettings())
    job = queued.store.claim_next("long", 1)
    assert job is not None
    queued.store.records.note_all(job.key, [Event(5, "change", {"lam_held": 1.0}, 0.0)])
    open_train(app, run=run_id)
    assert app.session_state["hold_now"] == 1.0
    assert app.session_state["lam_held"] == 1.0


def test_controls_follow_an_edit_made_elsewhere(app: AppTest, queued: Jobs) -> None:
    run_id, store = queued.submit(TrainSettings(optimizer="sam", rho=0.05)), queued.store
    job = store.claim_next("long", 1)
    assert job is not None

    def edit(count: int, rho: float, **detail: Any) -> None:
        """What a worker writes down when it has made an edit."""
        store.records.note(job.key, count, "change", rho=rho, **detail)
        store.beat(job, summary=json.dumps({"edits": count}))

    def obey(count: int, which: int) -> None:
        """Make the edit that an order of this page asks for."""
        edit(count, **store.orders.after(0, job.key)[which].detail)

    open_train(app, run=run_id)
    assert app.select_slider(key="rho").value == 0.05
    edit(1, 0.1)
    app.run()
    assert not app.exception
    assert app.select_slider(key="rho").value == 0.1
    # What this page asks for stays on the control until the worker has obeyed, also where it obeys
    # the press before only after this one.
    app.select_slider(key="rho").set_value(0.2).run()
    app.select_slider(key="rho").set_value(0.3).run()
    obey(2, 0)
    app.run()
    assert app.select_slider(key="rho").value == 0.3
    obey(3, 1)
    edit(4, 0.12)
    app.run()
    assert app.select_slider(key="rho").value == 0.12


def test_a_landscape_is_read_once_however_many_there_are(
    queued: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    damaged = {"film/3.npz"}

    def load(path: Path) -> Path:
        loaded.append(path.name)
        if f"film/{path.name}" in damaged:
            raise DataError("It is damaged.")
        return path

    monkeypatch.setattr("samar.landscapes.result.Landscape.load", load)
    run = queued.get(queued.submit(TrainSettings()))
    film = [Artifact("film_plane", step, f"film/{step}.npz", 1.0) for step in range(600)]
    monkeypatch.setattr(type(queued.store.records), "artifacts", lambda *which: film)
    assert [plane.step for plane in planes(run)] == [*range(3), *range(4, 600)]
    assert len(loaded) == 600
    loaded.clear()
    damaged.clear()
    film[5] = replace(film[5], at=2.0)  # measured anew
    again = planes(run)
    assert loaded == ["3.npz", "5.npz"]
    assert (len(again), again[5].at) == (600, 2.0)


def test_measurements_are_told_of_a_run_that_goes_on(
    app: AppTest, queued: Jobs, recorded: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    told_of: list[object] = []
    tiles = stage.tiles
    monkeypatch.setattr(stage, "tiles", lambda runs, due: told_of.append(due) or tiles(runs, due))
    lost = recorded(status="diverged")
    other = queued.submit(TrainSettings())
    job = queued.store.claim_next("long", 1)
    assert job is not None
    due = {"film": {"next_epoch": 7}}
    queued.store.beat(job, summary=json.dumps({"measurements": due}))
    open_train(app, runs=f"{lost.id},{other}")
    assert not app.exception
    assert told_of[-1] == due
