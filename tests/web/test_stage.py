"""What the address puts onto the stage, without a browser."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from samar.errors import RunError
from samar.jobs.service import Jobs
from samar.kinds.landscape import LandscapeJobSettings
from samar.kinds.race import RaceSettings
from samar.training.settings import TrainSettings
from samar.web.live import stage
from samar.web.pages import PAGES
from samar.web.service import service

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


def steering(app: AppTest) -> Any:
    """With what the stage lets this visitor steer."""
    contents = [json.loads(each.proto.json) for each in app.get("bidi_component")]
    return next(each["steer"] for each in contents if "steer" in each)


def told(app: AppTest) -> str:
    return " ".join(each.value for each in (*app.subheader, *app.error)).replace("\\", "")


def test_a_race_stands_on_the_stage_by_its_id(app: AppTest, queued: Jobs) -> None:
    race = queued.submit(RaceSettings(optimizers="sgd,samar", label_noise=0.2))
    open_train(app, run=race)
    assert not app.exception
    assert "SGD, SAMAR" in told(app)
    assert steering(app)["whyNot"] == ""
    assert app.button(key="button_race").disabled
    # One of them alone is an ordinary run.
    member = queued.members(race)[1]
    open_train(app, run=member.id)
    assert not app.exception
    assert "SAMAR" in told(app)


def test_a_race_is_watched_until_it_has_ended_itself(queued: Jobs) -> None:
    # A moment passes between the end of its last run and its own.
    race = stage.shown_of([queued.submit(RaceSettings(optimizers="sgd,samar"))])
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
    assert steering(app) is None
    open_train(app, runs=f"{ids[0]},nothing")
    assert "There is no run 'nothing'" in told(app)


def test_what_is_no_run_is_answered_in_a_sentence(app: AppTest, queued: Jobs) -> None:
    settings = LandscapeJobSettings(network="nothing")
    job = queued.store.create(settings)
    open_train(app, run=job)
    assert not app.exception
    assert f"There is no run {job!r}" in told(app)


def test_a_control_follows_an_edit_made_elsewhere(queued: Jobs) -> None:
    run_id, store = queued.submit(TrainSettings(optimizer="sam", rho=0.05)), queued.store
    job = store.claim_next("long", 1)
    assert job is not None
    view = stage.StageView([str(job.key)])
    view.read()
    assert view.news()["job"]["live"]["rho"] == 0.05
    view.read()
    assert view.news() == {}
    store.records.note(job.key, 3, "change", rho=0.1)
    store.beat(job, summary=json.dumps({"edits": 1, "obeyed": [7, 3]}))
    view.read()
    told = view.news()
    assert told["job"]["live"]["rho"] == 0.1
    assert told["job"]["obeyed"] == [7, 3]
    assert told["members"][0]["events"]["added"][0]["step"] == 3
    assert view.whole()["job"] == told["job"]
    queued.stop(run_id)
    store.move(job, "stopped")
    queued.delete(run_id)
    with pytest.raises(RunError, match="There is no run"):
        view.read()
