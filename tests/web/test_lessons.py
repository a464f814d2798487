"""Lessons without a browser: each opens, says where its numbers come from, and leads on."""

import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from samar.charts.lessons import landscape_figure, rate_figure
from samar.jobs.service import Jobs
from samar.recordings import recording
from samar.web.learn.glossary import MARK, SOURCES, TERMS, expand
from samar.web.lessons import frame, rate
from samar.web.lessons.page import LESSONS
from samar.web.pages import PAGES
from samar.web.service import service

APP = Path(__file__).parents[2] / "samar/web/main.py"
NUMBERS = range(1, len(LESSONS) + 1)


@pytest.fixture
def app(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    return AppTest.from_file(str(APP), default_timeout=60)


def open_lesson(app: AppTest, number: object, **query: str) -> AppTest:
    app.run()
    for name, value in {"lesson": str(number), **query}.items():
        app.query_params[name] = value
    return app.switch_page(PAGES["lessons"].path).run()


def headings(app: AppTest) -> str:
    return " ".join(element.value for element in (*app.header, *app.subheader))


@pytest.mark.parametrize("number", NUMBERS)
def test_every_lesson_opens_and_is_complete(app: AppTest, number: int) -> None:
    open_lesson(app, number)
    assert not app.exception
    assert not app.error
    lesson = LESSONS[number - 1]
    assert f"{number}. {lesson.title}" in headings(app)
    shown = "\n".join(element.value for element in (*app.markdown, *app.info))
    for part in ("What to look for", "Why", "badge"):
        assert part in shown
    assert "nan" not in app.info[0].value
    assert [e.label for e in app.expander] == ["Teacher notes", "Where the numbers come from"]
    assert app.button(key="lesson_back").disabled == (number == 1)
    assert app.button(key="lesson_next").disabled == (number == len(LESSONS))
    for key, value in lesson.defaults.items():
        assert app.session_state[key] == value, "a reset writes what a fresh lesson shows"


def test_next_back_and_the_menu_lead_through_the_lessons(app: AppTest) -> None:
    open_lesson(app, 7)
    app.button(key="lesson_next").click().run()
    assert "8. " in headings(app)
    app.button(key="lesson_back").click().run()
    assert "7. " in headings(app)
    app.selectbox(key="lesson_choice").select(6).run()
    assert "6. " in headings(app)
    assert "6" in app.query_params["lesson"]


@pytest.mark.parametrize("number", ["10", "0", "-1", "<b>x</b>"])
def test_a_lesson_that_is_not_there_is_said(app: AppTest, number: str) -> None:
    open_lesson(app, number)
    assert not app.exception
    assert "There is no lesson" in app.warning[0].value
    assert "<b>" not in app.warning[0].value
    assert "1. " in headings(app)


def test_a_link_restores_a_moment_and_reset_leaves_it(app: AppTest) -> None:
    open_lesson(app, 4, l4_at="20")
    assert app.slider(key="l4_at").value == 20
    assert "After epoch 20" in app.info[0].value
    app.button(key="lesson_reset").click().run()
    assert "After epoch 60" in app.info[0].value


@pytest.mark.parametrize("case", ["too little", "right", "too much"])
def test_lesson_2_says_what_became_of_sam(app: AppTest, case: str) -> None:
    open_lesson(app, 2, l2_case=case)
    assert not app.exception
    assert ("diverged" in app.info[0].value) == (case == "too much")


def test_lesson_4_starts_the_preset_and_its_sgd_twin(app: AppTest) -> None:
    open_lesson(app, 4)
    app.button(key="train_both").click().run()
    assert not app.exception
    sgd, samar = sorted((run.settings for run in Jobs().all()), key=lambda c: c.optimizer != "sgd")
    assert samar == sgd.changed(optimizer="samar")
    assert sgd.optimizer == "sgd"
    assert sgd.label_noise == 0.4
    recorded = recording("noisy_digits").runs["samar_0"].config
    assert {name: getattr(samar, name) for name in recorded} == recorded


def test_marked_words_and_sources_are_known() -> None:
    used = set()
    for lesson in LESSONS:
        assert set(lesson.sources) <= set(SOURCES)
        for text in lesson.texts.values():
            assert "[[" not in expand(text)
            used |= {mark[1] for mark in MARK.finditer(text)}
    assert {"sharpness", "rho", "lam", "ratio", "eigenvalue", "filter_normalization"} <= used
    for key, term in TERMS.items():
        assert term.lesson in ("", *map(str, NUMBERS)), key


def test_the_figures_as_one_file_need_no_network() -> None:
    """A figure that moves stands at its last moment and has a play button."""
    lesson = rate.LESSON
    axes, loss = np.array([[-1.0, 0, 1]] * 2), np.ones((2, 3, 3))
    moving = frame.Chart("moving", landscape_figure(axes, loss, "around", top=2))
    tables = recording("rate").tables
    still = rate_figure(tables["horizon"].astype(float), {"sgd": tables["sgd_mean"]}, "mean")
    shown = frame.Shown([frame.Chart("still", still), moving], "**slope** <b>", {"a": 1})
    page = frame._export(lesson, 7, shown)
    assert "slope &lt;b&gt;" in page
    assert "mean of eight runs of K steps" in page
    assert page.count("Plotly.newPlot(") == 2
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="https?:', page)
    assert 'aria-label="Both axes logarithmic' in page
    assert "Plotly.addFrames(" in page
    assert '"label":"\\u25b6 play"' in page
