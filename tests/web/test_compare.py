"""The Compare page and the Jobs page without a browser."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samar.exchange.archive import job_zip
from samar.jobs.engine.worker import run as work
from samar.jobs.job import Job, log_path, weights_path
from samar.jobs.service import Jobs
from samar.jobs.sql import schema
from samar.jobs.store import Store
from samar.kinds.curvature import CurvatureJobSettings
from samar.kinds.evaluate import EvaluateSettings
from samar.kinds.race import RaceSettings
from samar.training.settings import TrainSettings
from samar.web.jobs import table
from samar.web.pages import PAGES
from samar.web.service import service
from tests.web.measuring import bars

APP = Path(__file__).parents[2] / "samar/web/main.py"
COMPARE, RUNS = PAGES["compare"].path, PAGES["runs"].path


@pytest.fixture
def app(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app over an empty store in which no worker is ever started."""
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    app = AppTest.from_file(str(APP), default_timeout=60)
    return app


@pytest.fixture
def four(app: AppTest, recorded: Callable[..., Job]) -> list[Job]:
    return [
        recorded(optimizer=name, seed=seed, weights=True)
        for name in ("sgd", "samar")
        for seed in (0, 1)
    ]


def compare_page(app: AppTest, runs: list[Job], **query: str) -> AppTest:
    app.run()
    app.query_params["runs"] = ",".join(run.id for run in runs)
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page(COMPARE).run()
    assert not app.exception
    return app


def figures(app: AppTest) -> dict[str, dict]:
    """Figures by key, as they are sent to the browser."""
    found = {}
    for block in app.get("bidi_component"):
        content = json.loads(block.proto.json)
        if "figure" not in content:  # bars
            continue
        found[content["name"]] = json.loads(content["figure"])
    return found


def test_without_runs_the_page_asks_for_them(app: AppTest, recorded: Callable[..., Job]) -> None:
    compare_page(app, [])
    assert "No runs yet" in app.info[0].value
    recorded()
    compare_page(app, [])
    assert "Choose two or more runs" in app.info[0].value


def test_curves_of_a_link(app: AppTest, four: list[Job]) -> None:
    compare_page(app, four)
    shown = figures(app)
    assert set(shown) == {
        "compare_test_accuracy",
        "compare_gap",
        "compare_loss",
        "compare_sharpness",
    }
    names = [t["name"] for t in shown["compare_test_accuracy"]["data"] if "name" in t]
    assert names == ["SGD · 2 seeds", "SAMAR · 2 seeds"]
    app.toggle(key="over_seeds").set_value(False).run()
    names = [t["name"] for t in figures(app)["compare_test_accuracy"]["data"]]
    titles = [(run.number, run.settings.optimizer.upper(), run.settings.seed) for run in four]
    assert names == [f"{number} {title}, seed {seed}" for number, title, seed in titles]
    app.multiselect(key="metrics").set_value(["lam"]).run()
    assert set(figures(app)) == {"compare_lam"}


def test_a_link_with_runs_that_are_not_here(app: AppTest, four: list[Job]) -> None:
    app.run()
    app.query_params["runs"] = f"{four[0].id},<b>gone</b>,,{four[0].id}"
    app.switch_page(COMPARE).run()
    assert not app.exception
    assert "1 run in the link is not on this machine" in app.warning[0].value
    assert "<b>" not in app.warning[0].value
    assert "compare_gap" in figures(app)


def test_settings_side_by_side(app: AppTest, four: list[Job], recorded: Callable[..., Job]) -> None:
    part = recorded(optimizer="sgd", seed=2, accuracy=0.1, status="interrupted")
    compare_page(app, [*four, part], compare_view="Settings and results")
    _, table, seeds = (each.value for each in app.dataframe)
    assert seeds[["runs", "finished"]].values.tolist() == [[3, 2], [2, 2]]
    assert list(table.columns) == ["run", "test", "train", "gap", "optimizer", "seed", "id"]
    assert seeds["test, mean"].tolist() == pytest.approx([0.9, 0.9])
    assert "parallel" in figures(app)


def test_the_flatness_report_measures_once(
    app: AppTest, recorded: Callable[..., Job], four: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    from samar.compare import measuring

    few = measuring.PROTOCOL.changed(images=8, top=1, tol=0.5, trace_products=6)
    monkeypatch.setattr(measuring, "PROTOCOL", few)
    store = Store()

    def do_one() -> None:
        job = store.claim_next("short", 1)
        assert job is not None
        work(store, job)

    recorded(name="no weights")
    compare_page(app, four, compare_view="Flatness report")
    assert "Measure at least 5 networks first; 0 are" in app.markdown[0].value
    app.button(key="flatness_measure").click().run()
    assert not app.exception
    assert {job.settings.network for job in store.all("curvature")} == {run.id for run in four}
    # It goes on without the tab: another one finds the jobs, and their results one by one.
    do_one()
    compare_page(app, four, compare_view="Flatness report")
    assert "flatness_measure" not in {button.key for button in app.button}
    assert "1 is measured so far" in app.markdown[0].value
    with monkeypatch.context() as patch:
        patch.setenv("SAMAR_ROLE", "view")
        app.run()
        assert app.button(key="flatness_cancel").disabled
    app.run()
    do_one()
    app.button(key="flatness_cancel").click().run()
    assert not app.exception
    assert [job.status for job in store.all("curvature")].count("stopped") == 2
    assert app.button(key="flatness_measure").label == "Measure 2 networks"
    with monkeypatch.context() as patch:
        patch.setenv("SAMAR_ROLE", "view")
        app.run()
        assert app.button(key="flatness_measure").disabled
    app.run()
    app.button(key="flatness_measure").click().run()
    do_one()
    do_one()
    app.run()
    assert "4 are measured so far" in app.markdown[0].value
    assert set(figures(app)) == {"flatness_gap", "flatness_test_accuracy", "flatness_tau"}
    app.toggle(key="flatness_all").set_value(True).run()
    assert "1 of these runs have no weights" in " ".join(c.value for c in app.caption)
    assert "flatness_measure" not in {button.key for button in app.button}


def test_why_a_network_was_not_measured(app: AppTest, four: list[Job]) -> None:
    weights_path(four[0].id).write_bytes(b"no weights")
    compare_page(app, four[:1], compare_view="Flatness report")
    app.button(key="flatness_measure").click().run()
    store = Store()
    job = store.claim_next("short", 1)
    assert job is not None
    work(store, job)
    app.run()
    assert not app.exception
    assert "is not a readable safetensors file" in app.error[0].value
    assert app.button(key="flatness_measure").label == "Measure 1 network"


def test_the_table_filters_by_words_pins_and_sweeps(app: AppTest, four: list[Job]) -> None:
    store = Store()
    store.mark(four[0].id, tags=["lecture"], pinned=True)
    with store.database.write() as db:
        here = schema.jobs.c.id == four[3].id
        db.execute(schema.jobs.update().where(here).values(parent="s1"))

    def shown() -> list[str]:
        (table,) = app.dataframe
        return list(table.value["id"])

    app.run()
    app.switch_page(RUNS).run()
    assert not app.exception
    assert shown() == [four[0].id, four[2].id, four[1].id]
    app.toggle(key="sweeps").set_value(True).run()
    assert shown() == [four[0].id, four[3].id, four[2].id, four[1].id]
    app.text_input(key="filter").set_value("SAMAR  digits").run()
    assert shown() == [four[3].id, four[2].id]
    app.text_input(key="filter").set_value("lecture").run()
    assert shown() == [four[0].id]
    app.text_input(key="filter").set_value("nothing").run()
    assert "Nothing passes the filter" in app.info[0].value
    app.text_input(key="filter").set_value("").run()
    app.toggle(key="pinned").set_value(True).run()
    assert shown() == [four[0].id]


def test_of_many_jobs_a_table_has_the_newest_and_the_chosen(
    app: AppTest, four: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MOST_ROWS", 2)

    def shown() -> list[str]:
        (found,) = app.dataframe
        return list(found.value["id"])

    def said() -> str:
        return " ".join(caption.value for caption in app.caption)

    app.run()
    app.switch_page(RUNS).run()
    assert shown() == [four[3].id, four[2].id]
    assert "2 of 4; the filter finds the others" in said()
    app.text_input(key="filter").set_value(four[0].id).run()
    assert shown() == [four[0].id]
    assert "the filter finds" not in said()
    app.text_input(key="filter").set_value("").run()
    app.session_state["selected_runs"] = [four[0].id]
    Store().mark(four[1].id, pinned=True)
    app.run()
    assert shown() == [four[1].id, four[3].id, four[0].id]
    assert app.session_state["selected_runs"] == [four[0].id]
    compare_page(app, four[:2])
    assert set(shown()) == {each.id for each in (four[0], four[1], four[3])}
    assert app.query_params["runs"] == f"{four[0].id},{four[1].id}"


def test_importing_a_zip_on_the_page(app: AppTest, four: list[Job]) -> None:
    content = job_zip(Store(), four[0])
    app.run()
    app.switch_page(RUNS).run()
    app.file_uploader(key="run_upload").upload("run.zip", content, "application/zip").run()
    assert not app.exception
    assert len(Jobs().all()) == 5
    assert "Imported: " in app.success[0].value
    app.file_uploader(key="run_upload").upload("bad.zip", content[:500], "application/zip").run()
    assert "damaged or no zip file" in app.error[0].value.replace("\\", "")
    assert len(Jobs().all()) == 5


def test_the_table_is_drawn_without_reading_steps(
    app: AppTest, recorded: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(20):
        recorded(seed=seed, done=1)
    asked: list[str] = []
    runs = service()
    select = runs.store._select
    monkeypatch.setattr(runs.store, "_select", lambda wish: asked.append("all") or select(wish))
    monkeypatch.setattr(runs.store.records, "steps", lambda *a, **k: asked.append("steps"))
    app.run()
    asked.clear()
    app.switch_page(RUNS).run()
    assert not app.exception
    assert set(asked) == {"all"}
    assert len(asked) <= 4


def test_the_queue_and_jobs_of_every_kind(app: AppTest, four: list[Job]) -> None:
    """What runs and what waits can be cancelled; a finished one can be repeated and looked at."""
    jobs = Jobs()
    done = jobs.submit(EvaluateSettings(network=four[0].id))
    claimed = jobs.store.claim_next("short", 1)
    assert claimed is not None
    jobs.store.beat(claimed, summary='{"accuracy": 0.75, "images": 797}')
    assert jobs.store.move(claimed, "finished")
    waits = jobs.submit(CurvatureJobSettings(network=four[1].id))
    runs = jobs.submit(TrainSettings(name="*now*"))
    claimed = jobs.store.claim_next("long", 1)
    assert claimed is not None
    jobs.store.beat(claimed, done=20, total=80)

    app.run()
    app.switch_page(RUNS).run()
    assert not app.exception
    bar, next_one = bars(app)
    assert "20 of 80" in bar["words"]
    assert "left" in bar["words"]
    assert bar["share"] == 0.25
    assert "*now*" in bar["title"]
    assert (bar["stop"], bar["whyNot"]) == ("Stop", "")
    assert f"Curvature #6 of {four[1].label}" in next_one["title"]
    assert (next_one["words"], next_one["stop"]) == ("waits for its turn", "Cancel")
    app.button_group(key="show").set_value("Measurements").run()
    (table,) = app.dataframe
    assert list(table.value["kind"]) == ["Curvature", "Evaluation"]
    assert list(table.value["#"]) == [6, 5]
    assert list(table.value["name"]) == [four[1].label, four[0].label]
    assert list(table.value["result"])[1] == "accuracy 75.00%, images 797"
    jobs.stop(waits)
    app.session_state["selected_runs"] = [done]
    app.button_group(key="show").set_value("Everything").run()
    (table,) = app.dataframe
    assert len(table.value) == 7
    app.button(key="repeat").click().run()
    assert not app.exception
    again, first = jobs.store.all("evaluate")
    assert first.id == done
    assert (again.settings, again.status) == (first.settings, "queued")
    app.session_state["selected_runs"] = [runs]
    app.button_group(key="show").set_value("Runs").run()
    app.button(key="stop").click().run()
    assert [order.command for order in jobs.store.orders.after(0, claimed.key)] == ["stop"]


def test_a_kind_without_a_page_opens_here(app: AppTest, four: list[Job]) -> None:
    job_id = Jobs().submit(EvaluateSettings(network=four[0].id))
    log_path(job_id).parent.mkdir(parents=True)
    log_path(job_id).write_text("first\nlast words")
    app.run()
    app.query_params["job"] = job_id
    app.switch_page(RUNS).run()
    assert not app.exception
    settings = app.dataframe[0].value
    assert dict(zip(settings["setting"], settings["value"], strict=True))["Run or checkpoint"]
    assert "last words" in app.code[0].value
    app.button(key="close_details").click().run()
    assert not app.code
    app.query_params["job"] = "<b>nothing</b>"
    app.switch_page(RUNS).run()
    assert r"There is no job \<b\>" in app.warning[0].value


def jobs_page(app: AppTest, *selected: Job) -> AppTest:
    app.run()
    app.switch_page(COMPARE).run()  # so that the table begins with this selection
    app.session_state["selected_runs"] = [job.id for job in selected]
    return app.switch_page(RUNS).run()


def race_of(jobs: Jobs) -> list[Job]:
    """A race that has ended, and its members."""
    race_id = jobs.submit(RaceSettings(optimizers="sgd,sam"))
    jobs.stop(race_id)
    return [jobs.get(race_id), *jobs.members(race_id)]


def test_what_a_race_takes_with_it_is_said(app: AppTest, four: list[Job]) -> None:
    race, member, _ = race_of(Jobs())
    jobs_page(app, race)
    told = "This removes the job and its 2 runs, with records and files, for good."
    assert told in [each.value for each in app.markdown]
    jobs_page(app, race, four[0])
    told = "This removes these 2 jobs and their 2 runs, with records and files, for good."
    assert told in [each.value for each in app.markdown]
    jobs_page(app, four[0])
    told = "This removes the job, with records and files, for good."
    assert told in [each.value for each in app.markdown]
    jobs_page(app, race, member)
    app.button(key="really_delete").click().run()
    assert not app.error
    assert len(Jobs().all()) == len(four)


def test_a_number_in_the_address_is_a_job(app: AppTest, four: list[Job]) -> None:
    app.run()
    app.query_params["job"] = "2"
    app.switch_page(RUNS).run()
    assert not app.warning
    assert four[1].id in " ".join(each.value for each in app.caption)
    assert app.query_params["job"] == four[1].id
    compare_page(app, [])
    app.query_params["runs"] = "1,#2"
    app.switch_page(COMPARE).run()
    assert not app.warning
    assert app.query_params["runs"] == f"{four[0].id},{four[1].id}"
    app.query_params.clear()
    app.query_params["run"] = "2"
    app.switch_page(PAGES["landscape"].path).run()
    assert not [each.value for each in app.caption if "There is no network" in each.value]
    assert app.session_state["l_run"] == four[1].id
