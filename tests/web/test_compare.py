"""The Compare page and the table of runs without a browser."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samar.curvature.catalog import MEASURES
from samar.exchange.archive import run_zip
from samar.jobs import schema
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.web.service import service

APP = Path(__file__).parents[2] / "app.py"
COMPARE, RUNS = "pages/analysis/compare.py", "pages/experiment/runs.py"


@pytest.fixture
def app(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app over an empty store in which no worker is ever started."""
    monkeypatch.setattr("samar.jobs.service.tend", lambda store: None)
    service.clear()
    return AppTest.from_file(str(APP), default_timeout=60)


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
        found[content["name"]] = json.loads(content["figure"])
    return found


def test_without_runs_the_page_says_so(app: AppTest) -> None:
    compare_page(app, [])
    assert "No runs yet" in app.info[0].value


def test_without_a_choice_the_page_asks_for_one(app: AppTest, four: list[Job]) -> None:
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
    assert names == ["SGD, seed 0", "SGD, seed 1", "SAMAR, seed 0", "SAMAR, seed 1"]
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


def test_settings_side_by_side(app: AppTest, four: list[Job]) -> None:
    compare_page(app, four, compare_view="Settings and results")
    _, table, seeds = (each.value for each in app.dataframe)
    assert list(table.columns) == ["run", "test", "train", "gap", "optimizer", "seed", "id"]
    assert seeds["test, mean"].tolist() == pytest.approx([0.9, 0.9])
    assert "parallel" in figures(app)


def test_two_side_by_side_without_films(app: AppTest, four: list[Job]) -> None:
    compare_page(app, four, compare_view="Two side by side")
    assert "Neither run took a film" in app.info[0].value
    series = Store().series
    found = {"values": [3.0, 2.0, 1.0], "residuals": [0.1] * 3, "trace": 7.0, "lr": 0.05}
    fresh = Store().get(four[2].id)
    series.note(fresh.key, 8, "curvature", **found)
    from samar.web.compare.curves import _events

    _events.clear()
    compare_page(app, four[2:], compare_view="Two side by side")
    assert "pair_lambda_max" in figures(app)
    assert app.dataframe[-1].value["trace"].tolist() == [7]


def test_the_flatness_report_measures_once(
    app: AppTest, recorded: Callable[..., Job], four: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def measure(run: Job, progress: Callable[[str], None]) -> dict[str, object]:
        heard.append(run.id)
        progress(f"{run.id}: product 1")
        return {"measures": dict.fromkeys(MEASURES, float(len(heard)))}

    monkeypatch.setattr("samar.compare.measuring._measure", measure)
    recorded(name="no weights")
    compare_page(app, four, compare_view="Flatness report")
    assert "0 models; a rank correlation" in app.markdown[0].value
    app.button(key="flatness_measure").click().run()
    assert not app.exception
    assert sorted(heard) == sorted(run.id for run in four)
    assert "4 models; a rank correlation" in app.markdown[0].value
    assert set(figures(app)) == {"flatness_gap", "flatness_test_accuracy", "flatness_tau"}
    app.toggle(key="flatness_all").set_value(True).run()
    assert "1 of these runs have no weights" in " ".join(c.value for c in app.caption)
    assert len(heard) == 4


def test_the_table_filters_by_words_pins_and_sweeps(app: AppTest, four: list[Job]) -> None:
    store = Store()
    store.mark(four[0].id, tags=["lecture"], pinned=True)
    with store.database.write() as db:
        here = schema.runs.c.id == four[3].id
        db.execute(schema.runs.update().where(here).values(sweep="s1"))

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
    assert "No run passes the filter" in app.info[0].value
    app.text_input(key="filter").set_value("").run()
    app.toggle(key="pinned").set_value(True).run()
    assert shown() == [four[0].id]


def test_an_unreadable_run_spoils_no_page(app: AppTest, four: list[Job]) -> None:
    store = Store()
    with store.database.write() as db:
        here = schema.runs.c.id == four[1].id
        db.execute(schema.runs.update().where(here).values(config='{"passes": 1}'))
    app.run()
    app.switch_page(RUNS).run()
    assert not app.exception
    assert "? unreadable" in list(app.dataframe[0].value["status"])
    compare_page(app, four)


def test_importing_a_zip_on_the_page(app: AppTest, four: list[Job]) -> None:
    content = run_zip(Store(), four[0])
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


def test_the_zip_of_a_run_in_memory(app: AppTest, four: list[Job]) -> None:
    """What the download button gives is what the import takes."""
    from samar.exchange.importing import import_run
    from samar.web.runs.files import _zip, run_report

    assert import_run(io.BytesIO(_zip(four[0]))) != four[0].id
    assert four[0].id in run_report(four[0])
