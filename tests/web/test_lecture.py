"""The Lecture page: it draws, its links open what they say, and it names only what exists."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from samar.charts.html.render import render, script
from samar.jobs.service import Jobs
from samar.settings.declare import settings_of
from samar.training.presets import PRESETS
from samar.training.settings import TrainSettings
from samar.web.learn.lecture import COLUMNS, TEXT, read_lecture
from samar.web.lessons.page import LESSONS
from samar.web.pages import PAGES
from samar.web.service import service

APP = Path(__file__).parents[2] / "samar/web/main.py"
BEFORE, PARTS = read_lecture()
LINK = re.compile(r"\]\(([^)]+)\)")
LINKS = LINK.findall(TEXT.read_text(encoding="utf-8"))


@pytest.fixture
def app(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app over an empty store in which no worker is ever started."""
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    service.clear()
    return AppTest.from_file(str(APP), default_timeout=60).run()


def opened(app: AppTest, link: str) -> AppTest:
    """The page of a link, as a tab of its own shows it."""
    address = urlsplit(link)
    for name, values in parse_qs(address.query).items():
        app.query_params[name] = values
    return app.switch_page(PAGES[address.path].path).run()


def test_it_draws_all_parts(app: AppTest) -> None:
    app.switch_page(PAGES["lecture"].path).run()
    assert not app.exception
    assert [each.value for each in app.subheader] == [part.title for part in PARTS]
    shown = " ".join(each.value for each in app.markdown)
    for part in PARTS:
        assert part.opening in shown
        for sentences in part.columns.values():
            assert all(sentence in shown for sentence in sentences)


def test_every_part_but_the_questions_has_three_columns() -> None:
    assert [part.title.partition(". ")[0] for part in PARTS] == [str(n) for n in range(1, 8)]
    for part in PARTS[:-1]:
        assert tuple(part.columns) == COLUMNS
        assert all(part.columns.values())


def test_the_table_of_times_has_every_part_and_45_minutes() -> None:
    rows = re.findall(r"^\| (\d+)–(\d+) \| ([^|]+) \|", BEFORE, flags=re.MULTILINE)
    assert [title for _, _, title in rows] == [part.title.partition(". ")[2] for part in PARTS]
    assert [begin for begin, _, _ in rows] == ["0", *(end for _, end, _ in rows[:-1])]
    assert rows[-1][1] == "45"


@pytest.mark.parametrize("link", LINKS)
def test_a_link_opens_what_it_says(link: str, app: AppTest) -> None:
    opened(app, link)
    assert not app.exception
    assert not app.error
    assert not app.warning
    asked = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    assert app.session_state["present"] if asked.pop("present", "") else True
    if preset := asked.pop("preset", None):
        assert app.session_state["label_noise"] == PRESETS[preset].config().label_noise
    if lesson := asked.pop("lesson", None):
        shown = [element.value for element in (*app.header, *app.subheader, *app.title)]
        assert any(LESSONS[int(lesson) - 1].title in title for title in shown)
    for name, value in asked.items():
        assert str(app.session_state[name]) == value


def labels(app: AppTest) -> set[str]:
    """Everything on a page that can be pressed or chosen."""
    found = {option for box in app.selectbox for option in box.options}
    for kind in ("button", "selectbox", "select_slider", "slider"):
        found |= {widget.label for widget in app.get(kind)}
    for group in app.get("button_group"):
        found |= {group.label, *group.options}
    return found


@pytest.fixture
def named(app: AppTest) -> set[str]:
    """Everything on the playground and the stage that can be pressed, chosen or read."""
    jobs = Jobs()
    running = jobs.submit(TrainSettings())
    claimed = jobs.store.claim_next("long", 1)
    assert claimed is not None
    found = labels(opened(app, f"train?run={running}"))
    found |= {known.title for known in settings_of(TrainSettings).values() if known.live}
    found |= set(re.findall(r'"([A-Z0-9][^"]+)"', script("stage_controls.js")))
    for link in (PARTS[0].opening, PARTS[1].opening):
        other = AppTest.from_file(str(APP), default_timeout=60).run()
        found |= labels(opened(other, LINK.findall(link)[0]))
    warned = render("stage_story.html.j2", warning="…", back=1)
    for markup in (script("stage_timeline.js"), render("stage.html.j2", classes=""), warned):
        found |= set(re.findall(r">\s*([A-Z][^<>]+?)\s*</", markup))
    return found | {"View"}  # a popover, whose label an AppTest does not tell


def test_it_names_only_controls_that_exist(named: set[str]) -> None:
    words = {
        word
        for part in PARTS
        for sentence in part.columns.get("Do", ())
        for word in re.findall(r"\*\*(.+?)\*\*", sentence)
    }
    assert len(words) > 12
    assert words - named == set()


def test_what_is_said_holds_no_measured_number() -> None:
    """Those stand under See, where the rehearsal checks them."""
    for part in PARTS:
        for sentence in (*part.columns.get("Do", ()), *part.columns.get("Say", ())):
            assert "%" not in sentence
