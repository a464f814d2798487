"""Roles on the pages: what is disabled says why, and what a page lets through is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from samar.exchange.archive import job_zip
from samar.jobs.job import PERSON
from samar.jobs.roles import CLASS, OWNER, Person
from samar.jobs.service import Jobs
from samar.networks.library import ImportedModel
from samar.training.settings import TrainSettings
from samar.web import person
from samar.web.pages import PAGES
from samar.web.service import service
from samar.web.state import SELECTED

APP = Path(__file__).parents[2] / "samar/web/main.py"
TRAIN, JOBS, MODELS, LANDSCAPE = (
    PAGES["train"].path,
    PAGES["runs"].path,
    PAGES["models"].path,
    PAGES["landscape"].path,
)


@pytest.fixture
def visit(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``visit(page, role, **link)`` opens a page as a new visitor; jobs wait and never start."""
    monkeypatch.setattr("samar.jobs.engine.local._start", lambda store, job: None)
    monkeypatch.setattr("samar.web.service._tended", lambda: None)
    service.clear()

    def open_page(page: str, role: str | None, **link: str) -> AppTest:
        if role is None:
            monkeypatch.delenv("SAMAR_ROLE", raising=False)
        else:
            monkeypatch.setenv("SAMAR_ROLE", role)
        app = AppTest.from_file(str(APP), default_timeout=60).run()
        app.switch_page(page)
        for name, value in link.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        return app

    yield open_page
    service.clear()


def button(app: AppTest, key: str) -> Any:
    return next(each for each in app.button if each.key == key)


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it, and the Train page disables nothing."""

    def forget() -> None:
        monkeypatch.setattr("samar.web.service.unless", lambda *_: {})

    return forget


@pytest.mark.parametrize("role", ["class", "view"])
def test_every_page_can_be_looked_at(visit: Any, role: str) -> None:
    app = visit(TRAIN, role)
    for page in PAGES.values():
        app.switch_page(page.path).run()
        assert not app.exception, page
        assert not app.error, page


def test_a_viewer_sees_why_nothing_starts(visit: Any, forgetful: Any) -> None:
    app = visit(TRAIN, "view")
    start = button(app, "button_start")
    assert start.disabled
    assert "only shows jobs" in start.help
    forgetful()
    app.run()
    button(app, "button_start").click().run()
    assert not Jobs().all()
    assert "only shows jobs" in app.error[0].value


def test_a_member_of_the_class_steers_own_runs_alone(visit: Any) -> None:
    anna = visit(TRAIN, "class")
    button(anna, "button_start").click().run()
    assert not anna.error
    (job,) = Jobs().all()
    assert job.inputs[PERSON]["minutes"] == 15
    assert why_not_steer(anna) == ""
    ben = visit(TRAIN, "class", run=job.id)
    assert "was started by somebody else" in why_not_steer(ben)
    assert why_not_steer(visit(TRAIN, None, run=job.id)) == ""


def why_not_steer(app: Any) -> str:
    """What the stage is told; the server's refusal is tested with the orders themselves."""
    contents = [json.loads(each.proto.json) for each in app.get("bidi_component")]
    return next(str(each["steer"]["whyNot"]) for each in contents if each.get("steer"))


def test_a_measurement_that_somebody_stopped_can_be_asked_for_by_another(
    visit: Any, recorded: Any
) -> None:
    link = {"l_run": recorded(weights=True).id, "l_points": "5", "l_images": "32"}
    store = Jobs().store
    anna = visit(LANDSCAPE, "class", **link)
    button(anna, "l_compute").click().run()
    (stopped,) = store.all("landscape")
    assert store.move(stopped, "stopped", only=("queued", "running"))
    anna.run()
    assert button(anna, "l_compute").label == "Continue"
    ben = visit(LANDSCAPE, "class", job=stopped.id)
    assert button(ben, "l_compute").label == "Compute"
    assert "Somebody else asked for it" in " ".join(each.value for each in ben.info)
    button(ben, "l_compute").click().run()
    assert not ben.error
    own = store.all("landscape")[0]
    assert (own.settings, own.active) == (stopped.settings, True)
    assert own.inputs[PERSON] != stopped.inputs[PERSON]
    assert ben.query_params["job"] == own.id
    assert store.get(stopped.id).status == "stopped"


def test_a_name_in_a_reason_is_never_markup(visit: Any) -> None:
    job = Jobs().submit(TrainSettings(name="![x](https://a.example/b.png)"))
    app = visit(TRAIN, "class")
    app.session_state[SELECTED] = [job]
    app.switch_page(JOBS).run()
    (stop,) = [each for each in app.button if each.label == "Stop"]
    assert stop.disabled
    assert "![" not in stop.help
    assert "was started by somebody else" in stop.help


def test_what_a_member_of_the_class_imports_is_theirs(visit: Any, recorded: Any) -> None:
    run = recorded(status="stopped")
    content = job_zip(Jobs().store, run)
    Jobs().delete(run.id)
    app = visit(JOBS, "class")
    app.file_uploader(key="run_upload").upload("run.zip", content, "application/zip").run()
    assert not app.exception
    (job,) = Jobs().all()
    assert job.inputs[PERSON]["minutes"] == 15
    assert job.inputs[PERSON]["id"]
    app = visit(TRAIN, None)
    app.session_state[SELECTED] = [job.id]
    app.switch_page(JOBS).run()
    resume = next(each for each in app.button if each.label == "Resume")
    assert resume.disabled
    assert "Repeat starts it anew" in resume.help


def test_a_path_in_a_link_is_not_looked_at(visit: Any, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"secret")
    for role in ("class", "view"):
        app = visit(MODELS, role, models_file=str(file))
        assert "is a path on the server" in app.error[0].value.replace("\\", "")
        assert not Jobs().all()


def test_the_library_is_the_owners(
    visit: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = ImportedModel("m01234567", "a", "cnn", 10, 1, "auto", "digits", "a.pth", "0" * 64, 1, 0)
    deleted: list[str] = []
    monkeypatch.setattr("samar.web.models.library.imported_models", lambda: [kept])
    monkeypatch.setattr("samar.web.models.library.delete_model", deleted.append)
    app = visit(MODELS, "class")
    button(app, f"delete_{kept.id}").click().run()
    assert not deleted
    app = visit(MODELS, None)
    button(app, f"delete_{kept.id}").click().run()
    assert deleted == [kept.id]


@pytest.mark.parametrize(
    ("address", "role"),
    [
        ("127.0.0.1", OWNER),
        ("localhost", OWNER),
        ("::1", OWNER),
        ("0.0.0.0", CLASS),
        (None, CLASS),
        ("192.168.1.5", CLASS),
        ("class.example.org", CLASS),
    ],
)
def test_a_server_that_others_reach_is_a_class(
    monkeypatch: pytest.MonkeyPatch, address: str | None, role: str
) -> None:
    monkeypatch.delenv("SAMAR_ROLE", raising=False)
    monkeypatch.setattr(st, "get_option", lambda _: address)
    assert person.role() == role
    monkeypatch.setenv("SAMAR_ROLE", "owner")
    assert person.role() == OWNER


def test_it_says_that_it_supposed(visit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person, "_local", lambda _: False)
    app = visit(PAGES["start"].path, None)
    assert any("SAMAR_ROLE is not set" in each.value for each in app.caption)
    app = visit(PAGES["start"].path, "class")
    assert not any("SAMAR_ROLE" in each.value for each in app.caption)


def test_a_role_that_is_none_is_one_sentence(visit: Any) -> None:
    app = visit(PAGES["start"].path, "guest")
    assert [each.value.replace("\\", "") for each in app.error] == [
        "SAMAR_ROLE is 'guest', but it must be one of: owner, class, view."
    ]


def test_nobody_of_the_class_acts_without_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMAR_ROLE", "class")
    assert person.this_person() == Person("view")
