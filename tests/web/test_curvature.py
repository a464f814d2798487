"""The Curvature page without a browser: what it asks for, shows, and answers to bad input."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from samar.curvature.result import Report, Spectrum
from samar.jobs.engine.worker import run as work
from samar.jobs.job import Job
from samar.jobs.records import Records
from samar.jobs.store import Store
from samar.kinds.curvature import CurvatureJobSettings
from samar.web.curvature import results
from samar.web.service import service

APP = Path(__file__).parents[2] / "app.py"
PAGE = "pages/analysis/curvature.py"
FEW = {"curvature_top": "2", "curvature_images": "32", "curvature_tol": "0.05"}


@pytest.fixture
def network(recorded: Callable[..., Job]) -> Job:
    return recorded(weights=True, name="digits run")


@pytest.fixture
def page(network: Job, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page, over a store in which jobs are done by :func:`finish`."""
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in FEW.items():
        app.query_params[name] = value
    app.run()
    return app.switch_page(PAGE).run()


def finish() -> None:
    """Do what is queued, in this process."""
    store = Store()
    while (job := store.claim_next("short", 1)) is not None:
        work(store, job)


def press(page: AppTest, key: str = "curvature_compute") -> None:
    page.button(key=key).click().run()
    assert not page.exception


def words(page: AppTest) -> str:
    assert not page.exception
    return " ".join(each.value for each in (*page.markdown, *page.caption))


def jobs() -> list[Job]:
    return Store().all("curvature")


def charts(page: AppTest) -> list[dict[str, Any]]:
    """The figures on the page, in order."""
    assert not page.exception
    found = [json.loads(chart.proto.json).get("figure") for chart in page.get("bidi_component")]
    return [json.loads(figure) for figure in found if figure]


def curves(page: AppTest) -> list[list[str]]:
    """The names in the legend of each chart; of a curve without one, an empty name."""
    return [[each.get("name", "") for each in chart["data"]] for chart in charts(page)]


def test_a_run_with_everything(page: AppTest, network: Job) -> None:
    for name in ("trace", "sharpness"):
        page.toggle(key=f"curvature_{name}").set_value(True)
    page.run()
    assert "Compute" in words(page)
    press(page)
    (job,) = jobs()
    assert page.query_params["job"] == job.id
    asked = job.settings
    assert (asked.network, asked.top, asked.images, asked.tol) == (network.id, 2, 32, 0.05)
    assert (asked.trace, asked.sharpness, asked.density) == (True, True, False)
    finish()
    page.run()
    said = words(page)
    assert "largest eigenvalue h₁" in said
    assert "(standard error)" in said
    assert "Measured on" in said
    command = page.code[0].value
    for option in ("hessian", "--top 2", "--images 32", "--trace", "--sharpness"):
        assert option in command
    assert "scale-adjusted h₁" in page.table[0].value.index
    assert "λ_max" not in str(page.table[0].value) + said


def test_an_equal_measurement_is_shown_at_once_and_can_be_made_anew(page: AppTest) -> None:
    press(page)
    finish()
    page.number_input(key="curvature_seed").set_value(3).run()
    assert "Measured on" not in words(page)
    press(page)
    finish()
    page.number_input(key="curvature_seed").set_value(0).run()
    assert "Measured on" in words(page)
    assert len(jobs()) == 2
    press(page, "curvature_anew")
    finish()
    page.run()
    assert "Measured on" in words(page)
    assert page.query_params["job"] == jobs()[0].id
    assert len(jobs()) == 3


def test_a_newer_request_replaces_the_one_at_work(page: AppTest) -> None:
    press(page)
    page.number_input(key="curvature_seed").set_value(3).run()
    press(page)
    assert [job.status for job in jobs()] == ["queued", "stopped"]
    press(page, "curvature_cancel")
    assert [job.status for job in jobs()] == ["stopped", "stopped"]
    assert "Stopped before it began" in " ".join(each.value for each in page.info)


def test_estimates_are_drawn_while_it_works(page: AppTest) -> None:
    press(page)
    store = Store()
    job = store.claim_next("short", 1)
    assert job is not None
    store.beat(job, pid=os.getpid(), doing="Eigenvalues: products", done=2, total=150)
    store.records.note(job.key, 1, "estimate", values=[3.0], residuals=[1.0])
    page.run()
    assert curves(page) == [["", "largest"], ["h₁ 3"]]
    store.records.note(job.key, 2, "estimate", values=[4.0, 1.0], residuals=[0.1, 0.2])
    page.run()
    assert curves(page) == [["", "largest"], ["h₁ 4", "h₂ 1"]]
    stems = charts(page)[0]
    assert stems["data"][1]["error_y"]["array"] == [0.1, 0.2]
    assert "32 images, product 2" in stems["layout"]["title"]["text"]


def test_a_first_result_comes_unasked_and_stays_until_there_is_a_better_one(
    page: AppTest, network: Job
) -> None:
    page.number_input(key="curvature_images").set_value(128)
    page.toggle(key="curvature_trace").set_value(True).run()
    (first,) = jobs()
    asked = (first.settings.images, first.settings.top, first.settings.tol, first.settings.trace)
    assert asked == (32, 2, 0.05, False)
    assert "first result from 32 images" in page.get("progress")[0].proto.text
    assert "job" not in page.query_params
    finish()
    page.run()
    said = words(page)
    assert "A first result, to a residual of 5%" in said
    assert "**Compute** measures on 128 images" in said
    assert "Measured on" not in said
    assert [len(chart["data"]) > 0 for chart in charts(page)] == [True, True]
    press(page)
    whole = Store().claim_next("short", 1)
    assert whole is not None
    assert (whole.settings.images, len(jobs())) == (128, 2)
    Store().beat(whole, pid=os.getpid())
    page.run()
    assert "32 images" in charts(page)[0]["layout"]["title"]["text"]
    Store().records.note(whole.key, 1, "estimate", values=[3.0], residuals=[1.0])
    page.run()
    names = [name for name in curves(page)[0] if name]
    assert names[0] == "32 images"
    assert "128 images, product 1" in names
    work(Store(), whole)
    page.run()
    said = words(page)
    assert "Measured on" in said
    assert "first result" not in said


def test_no_more_images_are_named_than_there_are(page: AppTest) -> None:
    page.number_input(key="curvature_images").set_value(5000).run()
    finish()
    page.run()
    assert "**Compute** measures on 797 images" in words(page)
    press(page)
    whole = Store().claim_next("short", 1)
    assert whole is not None
    Store().beat(whole, pid=os.getpid())
    Store().records.note(whole.key, 1, "estimate", values=[3.0], residuals=[1.0])
    page.run()
    assert "797 images, product 1" in curves(page)[0]


def test_two_tabs_that_watch_one_job_see_each_estimate_once(
    network: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    store.create(CurvatureJobSettings(network=network.id))
    job = store.claim_next("short", 1)
    assert job is not None
    for product in (1, 2):
        store.records.note(job.key, product, "estimate", values=[3.0], residuals=[1.0])
    real, others = Records.events, [lambda: results.estimates_of(job)]

    def read(*args: Any, **words: Any) -> Any:
        found = real(*args, **words)
        if others:  # the other tab reads before this one has what it read
            others.pop()()
        return found

    monkeypatch.setattr(Records, "events", read)
    for _ in range(2):
        assert [each["product"] for each in results.estimates_of(job)] == [1, 2]


def test_what_pyhessian_does_not_measure_is_off(page: AppTest) -> None:
    for name in ("sharpness", "both_ends"):
        page.toggle(key=f"curvature_{name}").set_value(True)
    page.number_input(key="curvature_held_out").set_value(40).run()
    page.selectbox(key="curvature_engine").set_value("pyhessian").run()
    for name in ("sharpness", "gauss_newton", "both_ends"):
        assert page.toggle(key=f"curvature_{name}").disabled
    assert not page.toggle(key="curvature_trace").disabled
    assert page.number_input(key="curvature_held_out").disabled
    press(page)
    (job,) = jobs()
    asked = job.settings
    assert (asked.engine, asked.sharpness) == ("pyhessian", False)
    assert (asked.both_ends, asked.held_out) == (False, 0)


def test_what_does_not_apply_is_off_and_not_asked(page: AppTest) -> None:
    page.query_params["curvature_rho"], page.query_params["curvature_trace_products"] = "0.1", "7"
    page.run()
    command = page.code[0].value
    assert not {"--rho", "--trace-products"} & set(command.split())
    for key, extra in (("rho", "sharpness"), ("trace_products", "layers")):
        assert page.number_input(key=f"curvature_{key}").disabled
        page.toggle(key=f"curvature_{extra}").set_value(True).run()
        assert not page.number_input(key=f"curvature_{key}").disabled
    assert {"--rho", "--trace-products"} < set(page.code[0].value.split())
    page.selectbox(key="curvature_engine").set_value("pyhessian").run()
    assert page.number_input(key="curvature_rho").disabled  # with the table of sharpness
    assert "--rho" not in page.code[0].value


def test_a_network_s_name_heads_the_table_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[Any] = []
    monkeypatch.setattr(results.st, "table", tables.append)
    measure = SimpleNamespace(name="trace", value=1.0, error=0.0)
    report: Any = SimpleNamespace(sharpness=[measure])
    results._sharpness([("![x](https://a.example/b.png)", report)])
    assert not any("![" in name for name in tables[0].columns)


def test_a_share_stands_only_where_an_eigenvalue_is_known() -> None:
    values, residuals = (2.0, 0.0, 0.1, -0.02), (0.1, 0.0, 0.2, 0.01)
    spectrum = Spectrum(values, residuals, None, (), (), 1, True, 1.0, 0.0)
    parts = (1.5, 0.1, 3.0, 0.05)
    report = Report(spectrum, None, None, None, None, 9, 0.0, {}, gauss_newton=parts)
    said = results._summary("a", report)
    assert "of it Gauss–Newton 75 %, –, –, – (h₁, h₂, …)" in said


def test_two_networks_and_both_engines(page: AppTest, recorded: Callable[..., Job]) -> None:
    other = recorded(weights=True, name="digits run", seed=1)
    page.segmented_control(key="curvature_of").set_value("two").run()
    page.selectbox(key="curvature_engine").set_value("both").run()
    page.toggle(key="curvature_trace").set_value(True).run()
    press(page)
    found = jobs()[::-1]
    assert len({job.settings.network for job in found}) == 2
    assert {job.settings.network for job in found} >= {other.id}
    assert [job.settings.engine for job in found] == ["lanczos", "pyhessian"] * 2
    assert [job.settings.trace for job in found] == [True, False] * 2
    assert page.query_params["job"] == ",".join(job.id for job in found)
    finish()
    page.run()
    said = words(page)
    assert said.count("products in") == 4
    label = Store().get(found[2].settings.network).label
    assert f"{label}, pyhessian" in said.replace("\\", "")


def test_another_matrix(page: AppTest) -> None:
    page.toggle(key="curvature_sharpness").set_value(True).run()
    page.selectbox(key="curvature_matrix").set_value("covariance").run()
    assert page.toggle(key="curvature_sharpness").disabled
    page.toggle(key="curvature_trace").set_value(True).run()
    press(page)
    finish()
    page.run()
    (job,) = jobs()
    assert (job.status, job.settings.matrix, job.settings.sharpness) == (
        "finished",
        "covariance",
        False,
    )
    said = words(page)
    assert "of the gradient covariance matrix Σ" in said
    assert "noise scale" in said
    titles = [chart["layout"]["title"]["text"] for chart in charts(page)]
    assert any("gradient covariance" in title for title in titles)


def test_how_much_is_gauss_newton(page: AppTest) -> None:
    page.toggle(key="curvature_gauss_newton").set_value(True).run()
    page.number_input(key="curvature_held_out").set_value(50).run()
    press(page)
    finish()
    page.run()
    assert "of it Gauss–Newton" in words(page)
    assert "on 50 other images" in words(page)
    assert "over all images lies between" in words(page)
    assert any(
        trace.get("name") == "Gauss–Newton part"
        for figure in charts(page)
        for trace in figure["data"]
    )


def test_a_link_to_a_job_fills_the_controls(page: AppTest, network: Job) -> None:
    page.number_input(key="curvature_seed").set_value(5).run()
    press(page)
    finish()
    (job,) = jobs()
    fresh = AppTest.from_file(str(APP), default_timeout=60)
    fresh.query_params["job"] = job.id
    fresh.run().switch_page(PAGE).run()
    assert fresh.number_input(key="curvature_seed").value == 5
    assert fresh.number_input(key="curvature_images").value == 32
    assert fresh.selectbox(key="curvature_run1").value == network.id
    assert "Measured on" in words(fresh)


def test_a_run_in_the_link_is_chosen(page: AppTest, recorded: Callable[..., Job]) -> None:
    other = recorded(weights=True, name="another")
    older = page.selectbox(key="curvature_run1").value
    assert older != other.id
    page.query_params["run"] = other.id
    page.run()
    assert page.selectbox(key="curvature_run1").value == other.id


def test_a_link_to_a_network_is_not_a_file(page: AppTest, network: Job) -> None:
    page.segmented_control(key="curvature_of").set_value("file").run()
    page.query_params["run"] = network.id
    page.run()
    assert page.segmented_control(key="curvature_of").value == "run"
    assert page.selectbox(key="curvature_run1").value == network.id


def test_bad_input_is_one_sentence(page: AppTest, tmp_path: Path) -> None:
    page.segmented_control(key="curvature_of").set_value("file").run()
    page.text_input(key="curvature_file").set_value(str(tmp_path / "none.pt")).run()
    assert not page.exception
    assert "There is no file" in page.error[0].value
    page.segmented_control(key="curvature_of").set_value("run").run()
    page.number_input(key="curvature_top").set_value(9)
    page.number_input(key="curvature_max_products").set_value(8).run()
    press(page)
    finish()
    page.run()
    assert "9 eigenvalues need at least 9 products" in page.warning[0].value


def test_a_link_that_does_not_fit_says_so(page: AppTest) -> None:
    page.query_params["curvature_rho"] = "-1"
    page.run()
    assert "rho is '-1', but it must be above 0" in page.warning[0].value.replace("\\", "")
    page.query_params.clear()
    page.query_params["curvature_engine"] = "both"
    page.query_params["curvature_top"] = "999"
    page.switch_page(PAGE).run()
    assert "top is '999', but it must be at most 100" in page.warning[0].value.replace("\\", "")
