"""Presenting: the look follows the reader from page to page, and parts can be left out."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samar.web.pages import PAGES
from samar.web.service import service

APP = Path(__file__).parents[2] / "samar/web/main.py"


@pytest.fixture
def app(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    return AppTest.from_file(str(APP), default_timeout=60)


def lesson(app: AppTest, **query: str) -> AppTest:
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page(PAGES["lessons"].path).run()


def style(app: AppTest) -> str:
    return "".join(element.proto.body for element in app.get("html"))


def test_the_projectors_look_stays_from_page_to_page(app: AppTest) -> None:
    lesson(app, lesson="7", present="1")
    assert "font-size: clamp" in style(app)
    assert not app.expander
    app.switch_page(PAGES["glossary"].path).run()
    assert "font-size: clamp" in style(app)
    assert "1" in app.query_params["present"]


def test_the_look_is_switched_on_and_off_on_the_page(app: AppTest) -> None:
    lesson(app, lesson="7")
    assert "font-size: clamp" not in style(app)
    app.button(key="lesson_present").click().run()
    assert "font-size: clamp" in style(app)
    app.button(key="lesson_present").click().run()
    assert "font-size: clamp" not in style(app)
    assert "present" not in app.query_params


def test_parts_and_single_widgets_are_left_out(app: AppTest) -> None:
    lesson(app, lesson="7", hide="notes,why,l7_what,x}</style><script>")
    assert [e.label for e in app.expander] == ["Where the numbers come from"]
    assert ".st-key-l7_what" in style(app)
    assert "<script>" not in style(app)
    assert "**Why**" not in [element.value for element in app.markdown]
