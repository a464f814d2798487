"""The Landscape page without a browser: what is asked for, which jobs that makes, what is shown."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from samar.jobs.engine import local, worker
from samar.jobs.job import Job
from samar.jobs.records import STOP
from samar.jobs.sql import schema
from samar.jobs.store import Store
from samar.kinds.landscape import LandscapeJobSettings, prepare
from samar.landscapes.result import Landscape
from samar.landscapes.topology.report import told
from samar.web.landscape.choice import Wanted
from samar.web.landscape.results import Shown, landscape_of
from samar.web.landscape.topology import _files
from samar.web.measuring import _question
from samar.web.service import service

ROOT = Path(__file__).parents[2]
QUERY = {"l_points": "5", "l_images": "32"}


@pytest.fixture
def home(trained_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the home with three runs, whose jobs are done in this process as they start."""
    home = tmp_path / "home"
    shutil.copytree(trained_home, home, ignore=shutil.ignore_patterns("samar.db*"))
    of, to = connect(trained_home / "samar.db"), connect(home / "samar.db")
    with closing(of), closing(to):
        of.backup(to)  # a file beside the store goes when another test's connection does
    monkeypatch.setenv("SAMAR_HOME", str(home))
    monkeypatch.setattr(local, "_start", worker.run)
    service.clear()
    return home


@pytest.fixture
def visit(home: Path) -> Callable[..., AppTest]:
    """``visit(l_of="two", …)`` opens the page in a new session."""

    def visit(**query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
        for name, value in query.items():
            app.query_params[name] = value
        app.switch_page("pages/analysis/landscape.py").run()
        assert not app.exception
        return app

    return visit


@pytest.fixture
def begun(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that start stay at work, as this process, until a test says otherwise."""

    def start(store: Store, job: Job) -> None:
        store.beat(job, pid=os.getpid(), done=10, total=25, doing="Measuring points")

    monkeypatch.setattr(local, "_start", start)


def press(page: AppTest, name: str) -> AppTest:
    page.button(key=f"l_{name}").click().run()
    assert not page.exception
    assert [error.value for error in page.error] == []
    return page


def has(page: AppTest, name: str) -> bool:
    return any(button.key == f"l_{name}" for button in page.button)


def words(page: AppTest) -> str:
    """Everything the page says."""
    boxes = (page.caption, page.markdown, page.info, page.warning, page.error, page.code)
    return " ".join(element.value for box in boxes for element in box)


def jobs() -> list[Job]:
    return Store().all("landscape")


def settings() -> LandscapeJobSettings:
    found: LandscapeJobSettings = jobs()[0].settings
    return found


def run_id(name: str) -> str:
    return Store().get(name, "train").id


def test_a_run_is_measured_and_repeatable(visit: Callable[..., AppTest]) -> None:
    page = press(visit(**QUERY, l_rho="0.1", l_seed="3"), "compute")
    assert "filter seed 3" in words(page).replace("\\", "")
    assert "5 × 5 points" in words(page)
    assert "random plane almost never" in words(page)
    assert "within ρ" in words(page)
    assert "measured on" in words(page)
    command = page.code[0].value
    assert {"--points 5", "--seed 3", "--rho 0.1"} <= {
        " ".join(pair) for pair in zip(command.split(), command.split()[1:], strict=False)
    }
    assert not has(page, "compute")
    (job,) = jobs()
    assert page.query_params["job"] == job.id
    assert page.query_params["l_run"] == run_id("samar")
    assert settings() == LandscapeJobSettings(
        network=run_id("samar"), points=5, images=32, rho=0.1, seed=3
    )


def test_adaptive_points_and_their_error(visit: Callable[..., AppTest]) -> None:
    page = visit(l_points="9", l_images="32", l_sampling="adaptive", l_precision="bf16")
    page.select_slider(key="l_tolerance").set_value(0.3).run()
    assert page.selectbox(key="l_precision").disabled, "its own error is in no estimate"
    page = press(page, "compute")
    said = words(page).replace("\\", "")
    assert "of 81 points measured (the dots on the map); the loss at the others is" in said
    assert "(tolerated 30 %)" in said
    assert "its difference to the network's own loss, on the same images, to ±" in said
    assert "--sampling adaptive --tolerance 0.3" in " ".join(page.code[0].value.split())
    assert (settings().allowed_error, settings().precision) == (0.3, "fp32")
    page.selectbox(key="l_dim").set_value(1).run()
    assert not page.exception
    assert "l_tolerance" not in {each.key for each in page.select_slider}


def test_an_equal_finished_job_is_shown_at_once_and_computed_anew_on_request(
    visit: Callable[..., AppTest],
) -> None:
    press(visit(**QUERY), "compute")
    (first,) = jobs()
    page = visit(**QUERY)
    assert "measured on" in words(page)
    assert not has(page, "compute")
    press(page, "anew")
    second, same = jobs()
    assert (same.id, second.settings) == (first.id, first.settings)
    assert page.query_params["job"] == second.id
    other = visit(**QUERY, l_seed="7")
    assert has(other, "compute")
    assert "measured on" not in words(other)


def test_minima_and_saddles_are_told_marked_and_linked(visit: Callable[..., AppTest]) -> None:
    page = press(visit(**QUERY, l_marks="true"), "compute")
    assert page.toggle(key="l_marks").value
    assert "merge tree" in words(page)
    assert "of the range of the loss" in words(page)
    assert "Minima of a slice are not those" in words(page)
    (table,) = page.table
    assert list(table.value.index)[:2] == ["minima", "saddles"]
    page.number_input(key="l_depth").set_value(40.0).run()
    assert "40 %" in words(page).replace("\u00a0", " ")
    assert f"samar topology {jobs()[0].id} --threshold 0.4" in words(page)
    assert visit(**QUERY, l_marks="true", l_depth="2").number_input(key="l_depth").value == 2.0
    assert visit(**QUERY, l_marks="true", l_depth="x").number_input(key="l_depth").value == 1.0
    page.toggle(key="l_marks").set_value(False).run()
    assert not page.exception
    assert not page.table
    line = press(visit(**QUERY, l_dim="line", l_marks="true"), "compute")
    assert "of the range of the loss" in words(line)


def test_the_path_of_a_run_and_its_eigenvectors(visit: Callable[..., AppTest]) -> None:
    page = press(visit(**QUERY, l_directions="pca"), "compute")
    assert "explain" in words(page)
    assert "off the picture" in words(page)
    page.selectbox(key="l_directions").set_value("hessian").run()
    page.toggle(key="l_path").set_value(True).run()
    press(page, "compute")
    assert "Eigenvalues" in words(page)
    assert "off the picture" in words(page)
    assert {"hessian", "--path"} <= set(page.code[0].value.split())


def test_what_does_not_apply_is_not_asked(visit: Callable[..., AppTest]) -> None:
    page = visit(**QUERY, l_seed="4", l_path="true")
    page.selectbox(key="l_directions").set_value("pca").run()
    assert page.number_input(key="l_seed").disabled
    press(page, "compute")
    assert (settings().seed, settings().path) == (0, False)


def test_what_does_not_apply_makes_no_other_question(visit: Callable[..., AppTest]) -> None:
    page = press(visit(**QUERY), "compute")
    command = page.code[0].value
    page.selectbox(key="l_sampling").set_value("adaptive").run()
    assert has(page, "compute")
    page.selectbox(key="l_sampling").set_value("grid").run()
    assert page.code[0].value == command
    assert not has(page, "compute")


def test_a_job_with_an_idle_setting_answers_the_same_question(
    visit: Callable[..., AppTest],
) -> None:
    few = {"network": run_id("samar"), "points": 5, "images": 32}
    job_id = service().submit(LandscapeJobSettings.parse({**few, "tolerance": 0.05}))
    page = visit(job=job_id)
    assert not has(page, "compute")
    assert "--tolerance" not in page.code[0].value


def test_two_and_three_runs(visit: Callable[..., AppTest]) -> None:
    page = press(visit(**QUERY, l_of="two"), "compute")
    assert [job.settings.network for job in jobs()] == [run_id("sam"), run_id("samar")]
    assert page.query_params["job"] == ",".join(job.id for job in reversed(jobs()))
    assert len(page.code[0].value.splitlines()) == 2
    page = press(visit(**QUERY, l_of="three"), "compute")
    command = page.code[0].value
    assert "--directions between" in command
    assert len(command.split("--with ")[1].split()) == 2
    assert "estimated anew at each point" in words(page)
    assert settings().dim == 2
    page = press(visit(**QUERY, l_of="two", l_directions="Between networks"), "compute")
    assert "barrier" in words(page)
    assert settings().dim == 1


def test_an_earlier_moment_of_a_run(visit: Callable[..., AppTest]) -> None:
    page = visit(**QUERY)
    (slider,) = [each for each in page.select_slider if each.label == "At step"]
    slider.set_value(1).run()
    press(page, "compute")
    assert settings().network == f"{run_id('samar')}@1"
    assert "@1" in page.code[0].value


def test_a_moment_that_was_not_kept_is_said(visit: Callable[..., AppTest]) -> None:
    page = visit(**QUERY, **{f"l_run_step_{run_id('samar')}": "999"})
    assert "There are no weights of step 999; choose another" in words(page).replace("\\", "")
    assert "@" not in page.code[0].value
    page = visit(**QUERY, **{f"l_run_step_{run_id('samar')}": "1"})
    assert "There are no weights" not in words(page)


def test_a_file(visit: Callable[..., AppTest], home: Path) -> None:
    weights = home / "runs" / run_id("sgd") / "weights.safetensors"
    page = visit(**QUERY, l_of="file", l_model="cnn", l_dataset="digits", l_file=str(weights))
    press(page, "compute")
    assert weights.name in page.code[0].value
    assert (settings().model, settings().dataset) == ("cnn", "digits")
    page.text_input(key="l_file").set_value(str(home / "none.th")).run()
    assert "There is no file" in page.error[0].value
    run = visit(**QUERY)
    press(run, "compute")
    assert (settings().model, settings().dataset) == (None, None)


def test_a_link_to_a_network_is_not_a_file(visit: Callable[..., AppTest]) -> None:
    page = visit(**QUERY, l_of="file", l_model="cnn", l_dataset="digits", l_file="none.th")
    page.query_params["run"] = run_id("sam")
    page.run()
    assert page.segmented_control(key="l_of").value == "one"
    assert page.selectbox(key="l_run").value == run_id("sam")


@pytest.mark.parametrize("link", ["{id}", "a title of old · {id}"])
def test_a_link_names_a_run_by_id_or_as_version_0_1_did(
    visit: Callable[..., AppTest], link: str
) -> None:
    page = visit(**QUERY, l_run=link.format(id=run_id("sgd")))
    assert page.selectbox(key="l_run").value == run_id("sgd")
    assert page.query_params["l_run"] == run_id("sgd")
    page.selectbox(key="l_run").set_value(run_id("sam")).run()
    assert page.query_params["l_run"] == run_id("sam")


def test_another_page_sends_here_with_its_run(visit: Callable[..., AppTest]) -> None:
    page = visit(run=run_id("sgd"))
    assert page.selectbox(key="l_run").value == run_id("sgd")
    assert "run" not in page.query_params


def test_a_run_that_is_gone(visit: Callable[..., AppTest]) -> None:
    page = visit(l_run="deadbeef")
    assert "There is no network 'deadbeef'" in words(page)
    assert page.selectbox(key="l_run").value == run_id("samar")


def test_the_address_of_a_job_alone_brings_its_settings(visit: Callable[..., AppTest]) -> None:
    query = QUERY | {"l_of": "two", "l_seed": "5", "l_bn": "recalibrate", "l_span": "0.3"}
    press(visit(**query, l_run=run_id("sam"), l_run2=run_id("sgd")), "compute")
    wanted = {job.id: job.settings for job in jobs()}
    page = visit(job=",".join(reversed(wanted)))
    assert "measured on" in words(page)
    assert page.selectbox(key="l_run2").value == run_id("sgd")
    assert not has(page, "compute")
    assert page.code[0].value.splitlines() == [each.command for each in reversed(wanted.values())]
    del page.query_params["job"]  # what is left of the address would find it too
    again = visit(**{name: page.query_params[name] for name in page.query_params})
    assert again.code[0].value == page.code[0].value


def test_a_job_of_the_command_line_is_shown_whatever_it_called_the_network(
    visit: Callable[..., AppTest],
) -> None:
    job_id = service().submit(LandscapeJobSettings(network="sgd", points=5, images=32))
    page = visit(job=job_id)
    assert page.selectbox(key="l_run").value == run_id("sgd")
    assert "measured on" in words(page)


def test_a_job_that_the_page_has_no_controls_for_says_so(
    visit: Callable[..., AppTest], home: Path
) -> None:
    paths = [home / "runs" / run_id(n) / "weights.safetensors" for n in ("sgd", "sam")]
    asked: dict[str, Any] = {"points": 5, "images": 128, "dim": 1}
    of_file = {"model": "cnn", "dataset": "digits", "directions": "between"}
    files = LandscapeJobSettings(network=str(paths[0]), others=(str(paths[1]),), **asked, **of_file)
    named = (run_id("sam"), run_id("sgd"))
    pca = LandscapeJobSettings(network=run_id("samar"), others=named, directions="pca", **asked)
    for settings, word in ((files, "goes between files"), (pca, "has further networks for pca")):
        known = [service().submit(settings), *(job.id for job in jobs()[1:])]
        page = visit(job=known[0])
        page.run()
        assert f"{word}, which this page has no controls for" in page.warning[0].value
        assert "repeat it with" in page.warning[0].value
        assert len(jobs()) == len(known), "and nothing else is begun"


def test_a_range_between_networks_without_them_tells_no_nan(visit: Callable[..., AppTest]) -> None:
    query = {"l_of": "two", "l_directions": "Between networks", "l_span": "0.75"}
    page = press(visit(**QUERY, **query), "compute")
    said = words(page)
    assert "and the barrier, is not known; a range of 0.5 or 1 has them" in said
    assert "nan" not in said.split("Export")[0]


def test_minima_are_exported_as_json_that_every_reader_knows(
    visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = press(visit(**QUERY), "compute")
    job = jobs()[0]
    landscape = landscape_of(job)
    assert isinstance(landscape, Landscape)
    landscape = replace(landscape, manifest=landscape.manifest | {"model_loss": float("nan")})
    shown = Shown(Wanted(job.settings, "net", ""), job, landscape, False, False)
    texts: list[str] = []
    monkeypatch.setattr("streamlit.download_button", lambda _, text, *a, **k: texts.append(text()))
    _files(0, shown, told(landscape)[0])
    read = json.loads(texts[0], parse_constant=lambda word: pytest.fail(word))
    assert read["manifest"]["model_loss"] is None
    assert not page.exception


def test_other_images_are_another_question_and_no_more_are_named_than_there_are(
    inline: None, recorded: Callable[..., Job]
) -> None:
    asked = LandscapeJobSettings(network=recorded(weights=True).id, points=5, images=5000)
    (pin,) = prepare(Store(), asked)["networks"]
    before, after = (
        _question(asked, {"networks": [pin | {"images": each}]}) for each in ("before", "after")
    )
    assert before != after
    few = service().get(service().submit(asked.changed(images=32)))
    found = landscape_of(few)
    assert found is not None
    shown = Shown(Wanted(asked, "net", ""), few, found, first=True, refining=False)
    assert shown.state.endswith("**Compute** measures 5 × 5 points, 797 images.")


def test_a_link_with_a_value_that_does_not_fit(visit: Callable[..., AppTest]) -> None:
    page = visit(l_points="16")
    assert "does not fit" in page.warning[0].value
    assert page.selectbox(key="l_points").value == 17


@pytest.mark.usefixtures("begun")
def test_a_job_at_work_is_watched_and_cancelled(visit: Callable[..., AppTest]) -> None:
    page = press(visit(**QUERY), "compute")
    (job,) = jobs()
    assert "Measuring points, 10 of 25" in page.get("progress")[0].proto.text
    assert not has(page, "compute")
    again = visit(**QUERY)  # another tab finds it without its id
    assert has(again, "cancel")
    press(again, "cancel")
    assert [order.command for order in Store().orders.after(0, job.key)] == [STOP]
    Store().move(job, "stopped")
    page.run()
    assert "What was measured is kept" in words(page)
    assert not has(page, "cancel")
    assert page.button(key="l_compute").label == "Continue"
    press(page, "compute")
    assert [each.id for each in jobs()] == [job.id]
    assert jobs()[0].status == "running"


@pytest.mark.usefixtures("begun")
def test_a_newer_request_of_the_page_cancels_the_older(visit: Callable[..., AppTest]) -> None:
    page = press(visit(**QUERY), "compute")
    (older,) = jobs()
    page.number_input(key="l_seed").set_value(1).run()
    assert has(page, "cancel"), "the older one still works"
    press(page, "compute")
    newer, _ = jobs()
    assert page.query_params["job"] == newer.id
    assert [order.command for order in Store().orders.after(0, older.key)] == [STOP]
    assert newer.status == "queued"
    assert "queued" in page.get("progress")[-1].proto.text


WHOLE = {"l_points": "17", "l_images": "128"}


def test_a_first_result_is_there_before_anything_is_asked_for(
    visit: Callable[..., AppTest],
) -> None:
    page = visit(**WHOLE, l_rho="0.1", l_seed="3")
    (first,) = jobs()
    asked = LandscapeJobSettings(network=run_id("samar"), points=9, images=32, seed=3)
    assert first.settings == asked
    assert first.status == "finished"
    assert "job" not in page.query_params
    page.run()
    assert "First result: 9 × 9 points, 32 images" in words(page)
    assert "measures 17 × 17 points, 128 images" in words(page)
    assert "measured on" not in words(page)
    press(page, "compute")
    whole, same = jobs()
    assert same.id == first.id
    assert (whole.settings.points, whole.settings.images) == (17, 128)
    assert "17 × 17 points, 128 images." in words(page)
    assert "irst result" not in words(page)
    assert "measured on" in words(page)


def test_first_results_of_both_networks_come_before_either_is_measured(
    visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.web.measuring.CHEAP_MACS", 0)
    page = visit(**WHOLE, l_of="two", l_dim="1")
    assert jobs() == [], "a costly network is not measured unasked"
    press(page, "compute")
    asked = [(job.settings.network, job.settings.images) for job in reversed(jobs())]
    networks = [run_id("samar"), run_id("sam")]
    assert asked == [(n, 32) for n in networks] + [(n, 128) for n in networks]


@pytest.mark.usefixtures("begun")
def test_a_first_result_disturbs_no_other_measurement(visit: Callable[..., AppTest]) -> None:
    page = press(visit(**QUERY), "compute")
    (other,) = jobs()
    page = visit(**WHOLE)
    assert jobs() == [other]
    assert any(
        "after<br>the measurement at work" in c.proto.json for c in page.get("bidi_component")
    )
    Store().move(other, "stopped")
    page.run()
    first, _ = jobs()
    assert first.settings.images == 32
    assert "first result from 32 images" in page.get("progress")[0].proto.text
    page.number_input(key="l_seed").set_value(1).run()  # this tab wants another one now
    assert [order.command for order in Store().orders.after(0, first.key)] == [STOP]
    assert jobs()[0].settings.seed == 1
    assert jobs()[0].status == "queued"


@pytest.mark.parametrize(
    ("level", "sentence"),
    [
        (5, "9 × 9 points, 32 images; refining to 17 × 17 points, 128 images."),
        (9, "9 × 9 points, 128 images; refining to 17 × 17 points."),
    ],
)
def test_the_finer_picture_is_shown_with_what_it_becomes(
    visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch, level: int, sentence: str
) -> None:
    visit(**WHOLE)

    def start(store: Store, job: Job) -> None:
        """At work, as this process, with the levels up to one."""
        worker.run(store, job)
        with store.database.write() as db:
            table = schema.artifacts
            db.execute(table.delete().where((table.c.job == job.key) & (table.c.step > level)))
            values = {"status": "running", "pid": os.getpid(), "finished": None}
            db.execute(schema.jobs.update().where(schema.jobs.c.key == job.key).values(**values))

    monkeypatch.setattr(local, "_start", start)
    page = press(visit(**WHOLE), "compute")
    assert sentence in words(page)
    assert "measured on" not in words(page)
    assert has(page, "cancel")


def test_a_failed_job_says_why(
    visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "Out of memory; choose fewer images."
    monkeypatch.setattr(
        local, "_start", lambda store, job: store.move(job, "failed", sentence) and None
    )
    page = press(visit(**QUERY), "compute")
    assert "fewer images" in words(page)
    assert has(page, "compute")


def test_a_level_is_shown_before_the_end(
    visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was cancelled at its finest grid shows the one before."""
    from samar.jobs.work import Work

    real = Work.check

    def check(work: Work) -> None:
        work.stopping = len(work.kept("landscape")) == 1
        real(work)

    monkeypatch.setattr(Work, "check", check)
    page = press(visit(**QUERY | {"l_points": "9"}), "compute")
    assert jobs()[0].status == "stopped"
    assert "5 × 5 points" in words(page)
    assert "measured on" not in words(page)
    monkeypatch.setattr(Work, "check", real)
    press(page, "compute")
    assert "9 × 9 points" in words(page)


CODE = """
import sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=60).run()
app.query_params["job"] = sys.argv[1]
app.switch_page("pages/analysis/landscape.py").run()
app.toggle(key="l_marks").set_value(True).run()
assert not app.exception and not app.error, app
assert any("centre" in each.value for each in app.markdown), app
from samar.web.service import service
from samar.web.landscape.results import exports, landscape_of
made = exports("net", landscape_of(service().get(sys.argv[1])))
assert ",".join(made) == sys.argv[2], made
assert all(len(content()) > 100 for content, _ in made.values())
heavy = {"torch", "torchvision", "sklearn", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""


def test_neither_results_nor_files_need_torch(visit: Callable[..., AppTest]) -> None:
    press(visit(**QUERY), "compute")
    press(visit(**QUERY, l_dim="line", l_marks="true"), "compute")
    for job, kinds in zip(jobs(), ("npz,csv,html", "npz,csv,html,vtp"), strict=True):
        command = [sys.executable, "-W", "ignore", "-c", CODE, job.id, kinds]
        subprocess.run(command, cwd=ROOT, check=True)
