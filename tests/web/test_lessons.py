"""Lessons without a browser: each opens, says where its numbers come from, and leads on."""

import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from samar.charts.html.lesson import Section, lesson_html
from samar.jobs.service import Jobs
from samar.recordings.catalog import recording
from samar.web.learn.papers import SOURCES
from samar.web.learn.words import MARK, TERMS, expand
from samar.web.lessons.page import LESSONS
from samar.web.service import service

APP = Path(__file__).parents[2] / "app.py"
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
    return app.switch_page("pages/learn/lessons.py").run()


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


def test_a_link_with_the_former_title_of_a_rule(app: AppTest) -> None:
    open_lesson(app, 3, l3_rule="Dead band against the trend")
    assert not app.exception
    assert app.button_group(key="l3_rule").value == "trend"


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
    differing = {name for name, value in recorded.items() if getattr(samar, name) != value}
    assert differing <= {"probe_share"}, "it moves no weight"


@pytest.mark.parametrize("number", NUMBERS)
def test_every_marked_word_and_source_is_known(number: int) -> None:
    lesson = LESSONS[number - 1]
    texts = (lesson.question, *lesson.look_for, lesson.why, lesson.notes)
    for text in texts:
        assert "[[" not in expand(text)
    assert set(lesson.sources) <= set(SOURCES)


def test_controls_and_defaults_agree(app: AppTest) -> None:
    """What a reset writes is what a fresh lesson shows."""
    for number in NUMBERS:
        open_lesson(app, number)
        for key, value in LESSONS[number - 1].defaults.items():
            assert app.session_state[key] == value, key


def test_the_lessons_use_the_glossary() -> None:
    used = {
        mark[1]
        for lesson in LESSONS
        for text in (*lesson.look_for, lesson.why, lesson.notes)
        for mark in MARK.finditer(text)
    }
    assert {"sharpness", "rho", "lam", "ratio", "eigenvalue", "filter_normalization"} <= used
    for key, term in TERMS.items():
        assert 0 <= term.lesson <= len(LESSONS), key


def test_a_lesson_as_one_file_needs_no_network() -> None:
    from samar.charts.lessons import rate_figure

    tables = recording("rate").tables
    figure = rate_figure(tables["horizon"].astype(float), {"sgd": tables["sgd_mean"]}, "mean")
    section = Section(
        "7. <rate>", "Does it?", "**slope**", ["of $K$ steps"], [(figure, 300)] * 2, {"a": 1}
    )
    page = lesson_html(section)
    assert "7. &lt;rate&gt;" in page
    assert "of K steps" in page
    assert page.count("Plotly.newPlot(") == 2
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="https?:', page)
    assert 'aria-label="Both axes logarithmic' in page


def test_an_animation_in_a_file_has_a_play_button() -> None:
    from samar.charts.lessons import landscape_figure

    axes, loss = np.zeros((2, 3)), np.ones((2, 3, 3))
    axes[:] = [-1, 0, 1]
    section = Section("t", "q", "f", [], [(landscape_figure(axes, loss, "around", top=2), 300)], {})
    page = lesson_html(section)
    assert "Plotly.addFrames(" in page
    assert '"label":"\\u25b6 play"' in page
