"""The Landscape page's choices and picture."""

import json
import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from samar.jobs.engine import worker
from samar.jobs.job import Job
from samar.jobs.sql import schema
from samar.jobs.store import Store
from samar.kinds.landscape import LandscapeJobSettings
from samar.landscapes.result import Landscape
from samar.landscapes.topology.report import told
from samar.training.settings import TrainSettings
from samar.web.measuring import topology
from samar.web.measuring.landscape import landscape_of, state_of
from samar.web.measuring.page import Answer, Wanted
from samar.web.service import service
from tests.web.measuring import FEW, finish, has, jobs, press, settings, titles, words

Visit = Callable[..., AppTest]
QUERY = FEW["landscape"]


def compute(page: AppTest) -> AppTest:
    finish(press(page, "l_compute"))
    return page


def test_adaptive_points_and_their_error(visit: Visit) -> None:
    page = visit("landscape", l_points="9", l_images="32", l_sampling="adaptive")
    page.select_slider(key="l_tolerance").set_value(0.3).run()
    assert not has(page, "l_precision"), "its error is in no estimate"
    said = words(compute(page))
    assert "of 81 points measured (the dots on the map); the loss at the others is" in said
    assert "(tolerated 30 %)" in said
    assert "its difference to the network's own loss, on the same images, to ±" in said
    assert (settings("landscape").allowed_error, settings("landscape").precision) == (0.3, "fp32")
    page.selectbox(key="l_sampling").set_value("grid").run()
    assert "--tolerance" not in page.code[0].value, "it makes no other question"
    page.selectbox(key="l_dim").set_value(1).run()
    assert not has(page, "l_tolerance")


def test_minima_and_saddles_are_told_marked_and_linked(visit: Visit) -> None:
    page = compute(visit("landscape", **QUERY, l_marks="true"))
    assert "of the range of the loss" in words(page)
    assert any("Merge tree" in title for title in titles(page))
    assert list(page.table[0].value.index)[:2] == ["minima", "saddles"]
    page.number_input(key="l_depth").set_value(40.0).run()
    assert f"samar topology {jobs('landscape')[0].id} --threshold 0.4" in words(page)
    page.toggle(key="l_marks").set_value(False).run()
    assert not page.table
    line = compute(visit("landscape", **QUERY, l_dim="line", l_marks="true", l_depth="2"))
    assert line.number_input(key="l_depth").value == 2.0
    assert "of the range of the loss" in words(line)


def test_the_path_of_a_run_and_its_eigenvectors(visit: Visit) -> None:
    few = {"epochs": 3, "images_per_class": 10, "snapshots": 3, "name": "with snapshots"}
    service().submit(TrainSettings.parse({"optimizer": "sgd", **few}))
    run = Store().claim_next("long", 1)
    assert run is not None
    worker.run(Store(), run)
    page = compute(visit("landscape", **QUERY, l_directions="pca", l_seed="4"))
    assert "explain" in words(page)
    assert "off the picture" in words(page)
    assert (settings("landscape").seed, has(page, "l_path")) == (0, False)
    page.selectbox(key="l_directions").set_value("hessian").run()
    page.toggle(key="l_path").set_value(True).run()
    compute(page)
    assert "Eigenvalues" in words(page)
    assert "off the picture" in words(page)
    assert {"hessian", "--path"} <= set(page.code[0].value.split())
    (slider,) = [each for each in page.select_slider if each.label == "At step"]
    slider.set_value(1).run()
    assert f"{run.id}@1" in page.code[0].value
    press(page, "l_compute")
    link = visit("landscape", job=jobs("landscape")[0].id)
    assert f"{run.id}@1" in link.code[0].value


def test_two_and_three_networks(
    visit: Visit, two_runs: tuple[str, str], recorded: Callable[..., Job]
) -> None:
    page = compute(visit("landscape", **QUERY, l_of="two", l_bn="recalibrate"))
    assert [job.settings.network for job in reversed(jobs("landscape"))] == list(two_runs)
    assert page.query_params["job"] == ",".join(job.id for job in reversed(jobs("landscape")))
    link = visit("landscape", job=page.query_params["job"])
    assert link.selectbox(key="l_run2").value == two_runs[1]
    assert link.code[0].value == page.code[0].value
    assert sum(title.startswith("<b>newer") for title in titles(link)) == 2, "surface and map"
    page = compute(visit("landscape", **QUERY, l_of="two", l_directions="between", l_span="0.75"))
    said = words(page)
    assert "and the barrier, is not known; a range of 0.5 or 1 has them" in said
    assert "nan" not in said.split("Export")[0]
    recorded(weights=True, seed=2, name="third")
    page = compute(visit("landscape", **QUERY, l_of="three"))
    assert "estimated anew at each point" in words(page)
    asked = settings("landscape")
    assert (asked.directions, asked.dim, len(asked.others)) == ("between", 2, 2)


@pytest.mark.parametrize(
    ("level", "sentence"),
    [
        (5, "9 × 9 points, 32 images; refining to 17 × 17 points, 128 images."),
        (9, "9 × 9 points, 128 images; refining to 17 × 17 points."),
    ],
)
def test_the_finer_picture_is_shown_with_what_it_becomes(
    visit: Visit, level: int, sentence: str
) -> None:
    page = visit("landscape", l_points="17", l_images="128")
    finish(page)
    press(page, "l_compute")
    store = Store()
    job = store.claim_next("short", 1)
    assert job is not None
    worker.run(store, job)
    with store.database.write() as db:  # at work, as this process, with the levels up to one
        table = schema.artifacts
        db.execute(table.delete().where((table.c.job == job.key) & (table.c.step > level)))
        values = {"status": "running", "pid": os.getpid(), "finished": None}
        db.execute(schema.jobs.update().where(schema.jobs.c.key == job.key).values(**values))
    page.run()
    assert sentence in words(page)
    assert "measured on" not in words(page)
    assert has(page, "l_cancel")


def test_a_state_names_no_more_images_than_there_are(two_runs: tuple[str, str]) -> None:
    asked = LandscapeJobSettings(network=two_runs[0], points=5, images=5000)
    job = service().get(service().submit(asked.changed(images=16)))
    finish()
    landscape = landscape_of(Store(), job)
    assert landscape is not None
    answer = Answer(Wanted(asked, "net"), job, landscape, is_first=True)
    assert state_of(answer).endswith("**Compute** measures 5 × 5 points, 797 images.")


def test_minima_are_exported_as_json_that_every_reader_knows(two_runs: tuple[str, str]) -> None:
    job = service().get(
        service().submit(LandscapeJobSettings(network=two_runs[0], points=5, images=16))
    )
    finish()
    landscape = landscape_of(Store(), job)
    assert isinstance(landscape, Landscape)
    landscape = replace(landscape, manifest=landscape.manifest | {"model_loss": float("nan")})
    answer = Answer(Wanted(job.settings, "net"), job, landscape, is_first=False)
    files = topology.exports(answer, told(landscape)[0])
    read = json.loads(files["json"](), parse_constant=lambda word: pytest.fail(word))
    assert read["manifest"]["model_loss"] is None
