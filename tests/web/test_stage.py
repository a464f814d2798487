"""What the address puts onto the stage, without a browser."""

import gc
import json
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from samar.jobs.service import Jobs
from samar.kinds.landscape import LandscapeJobSettings
from samar.kinds.race import RaceSettings
from samar.training.settings import TrainSettings
from samar.web.pages import PAGES
from samar.web.service import service
from samar.web.train import stage

TRAIN = PAGES["train"].path


APP = Path(__file__).parents[2] / "samar/web/main.py"


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
