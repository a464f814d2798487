"""The flow that the pages which measure share, without a browser."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from samar.jobs.job import weights_path
from samar.jobs.records import STOP
from samar.jobs.store import Store
from samar.kinds.connectivity import ConnectivityJobSettings
from samar.kinds.curvature import CurvatureJobSettings
from samar.kinds.landscape import LandscapeJobSettings
from samar.web.pages import PAGES
from samar.web.service import service
from tests.web.measuring import APP, FEW, bars, finish, has, jobs, press, settings, words

Visit = Callable[..., AppTest]
PREFIXES = {"landscape": "l_", "curvature": "curvature_", "connectivity": "c_"}
WHOLE = {"l_points": "17", "l_images": "128"}


@pytest.mark.parametrize(("kind", "prefix"), PREFIXES.items())
def test_a_measurement_is_asked_for_shown_and_linked(
    visit: Visit, two_runs: tuple[str, str], kind: str, prefix: str
) -> None:
    page = press(visit(kind, **FEW[kind], **{f"{prefix}seed": "5"}), f"{prefix}compute")
    (job,) = jobs(kind)
    assert (job.settings.network, job.settings.seed) == (two_runs[0], 5)
    assert page.query_params["job"] == job.id
    assert "measured on" not in words(page)
    finish(page)
    assert "measured on" in words(page)
    assert job.settings.command in words(page)
    assert not has(page, f"{prefix}compute")
    link = visit(kind, job=job.id)
    assert link.number_input(key=f"{prefix}seed").value == 5
    assert "measured on" in words(link)
    assert [code.value for code in link.code] == [code.value for code in page.code]
    assert len(jobs(kind)) == 1


def test_an_equal_measurement_is_shown_at_once_and_can_be_made_anew(visit: Visit) -> None:
    page = press(visit("curvature", **FEW["curvature"]), "curvature_compute")
    finish(page)
    page.number_input(key="curvature_seed").set_value(3).run()
    assert "measured on" not in words(page)
    page = visit("curvature", **FEW["curvature"])
    assert "measured on" in words(page)
    finish(press(page, "curvature_anew"))
    anew, former = jobs("curvature")
    assert anew.settings == former.settings
    assert page.query_params["job"] == anew.id


def test_a_newer_request_replaces_the_one_at_work(visit: Visit) -> None:
    page = press(visit("curvature", **FEW["curvature"]), "curvature_compute")
    page.number_input(key="curvature_seed").set_value(3).run()
    assert has(page, "curvature_cancel"), "the older one still works"
    press(page, "curvature_compute")
    assert [job.status for job in jobs("curvature")] == ["queued", "stopped"]
    assert "waits for its turn" in bars(page)[0]["words"]
    press(page, "curvature_cancel")
    assert [job.status for job in jobs("curvature")] == ["stopped", "stopped"]
    assert "Stopped before it began" in words(page)


def test_a_job_at_work_is_watched_cancelled_and_goes_on(visit: Visit) -> None:
    press(visit("landscape", **FEW["landscape"]), "l_compute")
    store = Store()
    job = store.claim_next("short", 1)
    assert job is not None
    store.beat(job, pid=os.getpid(), done=10, total=25, doing="Measuring points")
    page = visit("landscape", **FEW["landscape"])  # another tab finds it without its id
    assert "10 of 25, Measuring points" in bars(page)[0]["words"]
    assert not has(page, "l_compute")
    press(page, "l_cancel")
    assert [order.command for order in store.orders.after(0, job.key)] == [STOP]
    store.move(job, "stopped")
    page.run()
    assert "What was measured is kept" in words(page)
    assert page.button(key="l_compute").label == "Continue"
    press(page, "l_compute")
    assert [(each.id, each.status) for each in jobs("landscape")] == [(job.id, "queued")]
    again = store.claim_next("short", 1)
    assert again is not None
    store.move(again, "failed", "Out of memory; choose fewer images.")
    page.run()
    assert "choose fewer images" in words(page)
    assert has(page, "l_compute")


def test_a_first_result_is_there_before_anything_is_asked_for(
    visit: Visit, two_runs: tuple[str, str]
) -> None:
    page = visit("landscape", **WHOLE, l_rho="0.1", l_seed="3")
    (first,) = jobs("landscape")
    few = LandscapeJobSettings(network=two_runs[0], points=9, images=32, seed=3)
    assert first.settings == few
    assert "first result from 32 images" in bars(page)[0]["title"]
    assert "job" not in page.query_params
    finish(page)
    assert "First result: 9 × 9 points, 32 images" in words(page)
    assert "measures 17 × 17 points, 128 images" in words(page)
    press(page, "l_compute")
    finish(page)
    assert len(jobs("landscape")) == 2
    assert "17 × 17 points, 128 images." in words(page)
    assert "irst result" not in words(page)


def test_first_results_of_both_networks_come_before_either_is_measured(
    visit: Visit, two_runs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.web.measuring.jobs.CHEAP_MACS", 0)
    page = visit("landscape", **WHOLE, l_of="two", l_dim="1")
    assert jobs("landscape") == [], "a costly network is not measured unasked"
    press(page, "l_compute")
    asked = [(job.settings.network, job.settings.images) for job in reversed(jobs("landscape"))]
    assert asked == [(n, 32) for n in two_runs] + [(n, 128) for n in two_runs]


def test_a_first_result_disturbs_no_other_measurement(visit: Visit) -> None:
    press(visit("landscape", **FEW["landscape"]), "l_compute")
    other = Store().claim_next("short", 1)
    assert other is not None
    page = visit("landscape", **WHOLE)
    assert [job.id for job in jobs("landscape")] == [other.id]
    assert any(
        "after<br>the measurement at work" in c.proto.json for c in page.get("bidi_component")
    )
    Store().move(other, "stopped")
    page.run()
    first, _ = jobs("landscape")
    assert first.settings.images == 32
    page.number_input(key="l_seed").set_value(1).run()  # this tab wants another one now
    assert [(j.settings.seed, j.status) for j in jobs("landscape")[:2]] == [
        (1, "queued"),
        (0, "stopped"),
    ]


def test_a_network_is_named_by_the_link_or_another_page(
    visit: Visit, two_runs: tuple[str, str]
) -> None:
    newer, older = two_runs
    for query in ({"l_run": older}, {"l_run": "older"}, {"run": older}):
        page = visit("landscape", **FEW["landscape"], **query)
        assert page.selectbox(key="l_run").value == page.query_params["l_run"] == older
        assert "run" not in page.query_params
    page.selectbox(key="l_run").set_value(newer).run()
    assert page.query_params["l_run"] == newer
    page = visit("landscape", l_run="deadbeef", **{f"l_run_step_{newer}": "999"})
    assert "There is no network 'deadbeef'" in words(page)
    assert "There are no weights of step 999; choose another" in words(page)
    assert page.selectbox(key="l_run").value == newer
    assert "@" not in page.code[0].value


def test_a_file(visit: Visit, two_runs: tuple[str, str], tmp_path: Path) -> None:
    file = {"curvature_of": "a file", "curvature_model": "cnn", "curvature_dataset": "digits"}
    page = visit("curvature", **FEW["curvature"], **file)
    page.text_input(key="curvature_file").set_value(str(tmp_path / "none.th")).run()
    assert "There is no file" in page.error[0].value
    page.text_input(key="curvature_file").set_value(str(weights_path(two_runs[0]))).run()
    finish(press(page, "curvature_compute"))
    asked = settings("curvature")
    assert (asked.model, asked.dataset) == ("cnn", "digits")
    job = jobs("curvature")[0]
    link = visit("curvature", job=job.id)
    assert link.text_input(key="curvature_file").value == str(weights_path(two_runs[0]))
    assert "measured on" in words(link)
    link.query_params["run"] = two_runs[1]  # a link to a network is no file
    link.run()
    assert link.segmented_control(key="curvature_of").value == "run"
    assert link.selectbox(key="curvature_run1").value == two_runs[1]


def test_a_job_that_the_page_has_no_controls_for_says_so(
    visit: Visit, two_runs: tuple[str, str]
) -> None:
    few: dict[str, Any] = {"points": 5, "images": 128, "dim": 1}
    paths = [str(weights_path(run)) for run in two_runs]
    of_file = {"model": "cnn", "dataset": "digits", "directions": "between"}
    between = LandscapeJobSettings(network=paths[0], others=(paths[1],), **few, **of_file)
    further = {"network": two_runs[0], "others": two_runs, "directions": "pca"}
    for asked in (between, LandscapeJobSettings(**further, **few)):
        page = visit("landscape", job=service().submit(asked))
        page.run()
        assert "that this page has no controls for" in page.warning[0].value
        assert "repeat it with" in page.warning[0].value
    assert len(jobs("landscape")) == 2, "and nothing else is begun"


@pytest.mark.parametrize(
    ("kind", "query", "sentence"),
    [
        ("landscape", {"l_points": "16"}, "points is 16, but it must be one of"),
        ("curvature", {"curvature_rho": "-1"}, "rho is '-1', but it must be above 0"),
        (
            "curvature",
            {"curvature_engine": "both", "curvature_top": "999"},
            "top is '999', but it must be at most 100",
        ),
        ("connectivity", {"c_lr": "99"}, "lr is '99', but it must be at most 10"),
        ("connectivity", {"job": "none"}, "The link names a measurement that is not here"),
    ],
)
def test_a_link_that_does_not_fit_says_so(
    visit: Visit, kind: str, query: dict[str, str], sentence: str
) -> None:
    assert sentence in visit(kind, **FEW[kind] | query).warning[0].value.replace("\\", "")


@pytest.mark.usefixtures("samar_home")
def test_without_networks_it_says_what_to_do() -> None:
    from tests.web.measuring import open_page

    service.clear()
    assert "Choose trained networks on the left" in words(open_page(PAGES["connectivity"].path))


def test_other_images_are_another_question(
    two_runs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from samar.kinds.landscape import prepare
    from samar.web.measuring.jobs import essence

    asked = LandscapeJobSettings(network=two_runs[0], points=5, images=5000)
    (pin,) = prepare(Store(), asked)["networks"]
    before, after = (
        essence(asked, {"networks": [pin | {"images": images}]}) for images in ("one", "other")
    )
    assert before != after


SERVER = """
import sys
from samar.web.pages import PAGES
from tests.web.measuring import bars, has, open_page, words
for job in sys.argv[1:]:
    kind, job = job.split("=")
    page = open_page(PAGES[kind].path, job=job)
    if kind == "landscape":
        page.toggle(key="l_marks").set_value(True).run()
    assert "measured on" in words(page), words(page)
from samar.jobs.store import Store
from samar.web.measuring.landscape import exports, landscape_of
files = exports("net", landscape_of(Store(), Store().get(sys.argv[1].split("=")[1])))
assert list(files) == ["npz", "csv", "html", "vtp"]
assert all(len(content()) > 100 for content in files.values())
heavy = ("torch", "torchvision", "sklearn", "scipy", "optuna")
print([name for name in heavy if name in sys.modules])
"""


def test_a_server_that_shows_results_loads_no_torch(two_runs: tuple[str, str]) -> None:
    one = {"network": two_runs[0], "images": 16}
    asked = (
        LandscapeJobSettings(**one, points=5),
        CurvatureJobSettings(**one, top=2, tol=0.5, trace=True, layers=True, sharpness=True),
        ConnectivityJobSettings(**one, other=two_runs[1], points=5, curve="line", align="none"),
    )
    ids = [f"{each.kind}={service().submit(each)}" for each in asked]
    finish()
    command = [sys.executable, "-W", "ignore", "-c", SERVER, *ids]
    environment = os.environ | {"SAMAR_SPARE": "0"}
    answer = subprocess.run(
        command, env=environment, cwd=APP.parents[2], capture_output=True, text=True, check=False
    )
    assert answer.stdout.strip() == "[]", answer.stderr
