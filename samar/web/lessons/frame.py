"""The frame around every lesson: question, controls, figures, what to look for, notes, way on."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from samar.charts.html.render import charts, render
from samar.charts.html.stage import inline_stage
from samar.web.learn.glossary import SOURCES, expand, glossary_style, prose
from samar.web.plotly_chart import plotly_chart
from samar.web.presenting import carried, hidden, presenting, toggle_presenting
from samar.web.service import explained, show_problem
from samar.web.stage import replay
from samar.web.state import LAST_LESSON, LESSON, TRAIN_PAGE
from samar.web.text import plain, sections

FOLDER = Path(__file__).parent
BADGES = {
    "replay": ":violet-badge[:material/history: replay]",
    "live": ":green-badge[:material/bolt: live]",
    "text": ":gray-badge[:material/menu_book: text]",
}


@dataclass(frozen=True)
class Chart:
    """A figure of a lesson.

    Attributes:
        key: of the chart on the page.
        figure: with its ``alt`` in ``layout.meta``.
        height: in CSS pixels.
        wide: over the whole width.
        moves: whether it shares the lesson's clock.
    """

    key: str
    figure: go.Figure
    height: int = 340
    wide: bool = False
    moves: bool = False


@dataclass(frozen=True)
class Shown:
    """What a lesson draws, given its controls.

    Attributes:
        charts: in reading order.
        finding: one or two sentences that say what the numbers on the page say.
        manifest: where the numbers come from.
        badge: instead of the lesson's own, if not empty.
        look_for: heading of the text that says what to look for.
        stage: recorded runs, from :func:`samar.charts.stage.recorded.recorded_stage`.
    """

    charts: list[Chart]
    finding: str
    manifest: Mapping[str, Any] = field(default_factory=dict)
    badge: str = ""
    look_for: str = "What to look for"
    stage: dict[str, Any] | None = None


@dataclass(frozen=True)
class Lesson:
    """A lesson: a Markdown file with its texts, and a function that draws its figures.

    Attributes:
        name: of the file, whose headings are the title, and those of :attr:`texts`.
        badge: keys of :data:`BADGES`, with blanks between: where the numbers come from.
        draw: draws the controls and returns what is shown.
        defaults: value of every control by its key; a reset restores them.
        live: draws what starts real runs, below the figures.
    """

    name: str
    badge: str
    draw: Callable[[], Shown]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    live: Callable[[], None] | None = None

    @cached_property
    def texts(self) -> dict[str, str]:
        """Markdown with marked words by its heading; under "" the title and the question."""
        return sections((FOLDER / f"{self.name}.md").read_text(encoding="utf-8"))

    @property
    def title(self) -> str:
        """A few words."""
        return self.texts[""].partition("\n")[0].removeprefix("# ")

    @property
    def question(self) -> str:
        """What the lesson answers."""
        return self.texts[""].partition("\n")[2].strip()

    @property
    def sources(self) -> list[str]:
        """Keys of :data:`samar.web.learn.glossary.SOURCES`."""
        return self.texts["Papers"].split(", ")


def show_lesson(lessons: tuple[Lesson, ...]) -> None:
    """Draw the lesson that the address names, and the way to the others."""
    number = _number(len(lessons))
    lesson = lessons[number - 1]
    glossary_style()
    if not (presenting() or hidden("menu")):
        _menu(lessons, number)
    heading = st.subheader if presenting() else st.header
    heading(f"{number}. {lesson.title}", anchor=False)
    question = st.empty()
    line: dict[str, Any] = {"horizontal": True, "vertical_alignment": "bottom"}
    with st.container(key="controls", **(line if lesson.defaults else {})):
        with explained():
            shown = lesson.draw()
        if lesson.defaults and not presenting():
            st.button(
                "Reset", key="lesson_reset", icon=":material/restart_alt:", shortcut="0",
                on_click=_reset, args=(lesson,),
            )  # fmt: skip
    with question:
        badges = " ".join(BADGES[name] for name in (shown.badge or lesson.badge).split())
        prose(f"{badges} **{lesson.question}**")
    show_problem()
    with st.container(key="finding"):
        st.info(shown.finding.replace(" %", "\u00a0%"), icon=":material/visibility:")
    _figures(shown, number)
    if lesson.live:
        with st.container(key="live"):
            lesson.live()
    left, right = st.columns(2) if not presenting() else (st.container(), st.container())
    with left.container(key="look_for"):
        st.markdown("**What to look for**")
        prose(lesson.texts[shown.look_for])
    if not (presenting() or hidden("why")):
        with right.container(key="why"):
            st.markdown("**Why**")
            prose(lesson.texts["Why"])
    _below(lesson, number, shown)
    _ways(lessons, number)


def moment(key: str, last: int, label: str, help: str) -> int:
    """Up to where a lesson is shown; in the address, so that a link restores the moment.

    Returns:
        A moment from 2 to ``last``.
    """
    with st.container(key="moment", width=320):
        return int(st.slider(label, 2, last, value=last, key=key, bind="query-params", help=help))


def _number(count: int) -> int:
    text = st.query_params.get(LESSON) or st.session_state.get(LAST_LESSON, "1")
    if text in map(str, range(1, count + 1)):
        st.session_state[LAST_LESSON] = text
        return int(text)
    st.warning(f"There is no lesson “{plain(text[:20])}”; this is the first of {count}.")
    return 1


def _menu(lessons: tuple[Lesson, ...], number: int) -> None:
    st.session_state["lesson_choice"] = number
    with st.container(key="menu"):
        st.selectbox(
            "Lesson",
            range(1, len(lessons) + 1),
            format_func=lambda n: f"{n}. {lessons[n - 1].title}",
            key="lesson_choice",
            label_visibility="collapsed",
            on_change=lambda: go_to(st.session_state["lesson_choice"]),
        )


def go_to(number: int) -> None:
    """Turn to a lesson, in a callback."""
    st.query_params[LESSON] = str(number)


def _turn(pages: int, count: int) -> None:
    """Turn from the lesson of the address, also where its buttons are not drawn yet."""
    go_to(min(max(_number(count) + pages, 1), count))


def _reset(lesson: Lesson) -> None:
    for key, value in lesson.defaults.items():
        st.session_state[key] = value


def _figures(shown: Shown, number: int) -> None:
    if shown.stage is not None:
        replay(shown.stage, f"lesson_stage_{number}", shown.finding)
    for wide, group in groupby(shown.charts, key=lambda chart: chart.wide):
        with nullcontext() if wide else st.grid(2, min_column_width=360):
            for chart in group:
                with st.container(key=f"figure_{chart.key}"):
                    plotly_chart(
                        chart.figure,
                        key=f"lesson_{chart.key}",
                        height=chart.height,
                        clock=f"lesson{number}" if chart.moves else None,
                    )


def _below(lesson: Lesson, number: int, shown: Shown) -> None:
    if presenting():
        return
    if not hidden("notes"):
        with st.expander("Teacher notes", icon=":material/school:", key="notes"):
            prose(lesson.texts["Teacher notes"])
    with st.expander("Where the numbers come from", icon=":material/fact_check:", key="manifest"):
        for source in lesson.sources:
            st.markdown(f"- {SOURCES[source]}")
        if shown.manifest:
            st.json(dict(shown.manifest), expanded=1)
        if shown.charts or shown.stage:
            st.download_button(
                "Figures as one HTML file",
                lambda: _export(lesson, number, shown),
                file_name=f"samar-lesson-{number}.html",
                mime="text/html",
                icon=":material/download:",
                on_click="ignore",
                key="lesson_html",
            )


def _export(lesson: Lesson, number: int, shown: Shown) -> str:
    """The figures as one HTML file that needs neither network nor server."""
    return render(
        "lesson.html.j2",
        title=f"{number}. {lesson.title}",
        question=_unmarked(lesson.question),
        finding=_unmarked(shown.finding),
        look_for=_unmarked(lesson.texts[shown.look_for].removeprefix("- ")).split("\n- "),
        charts=charts([(chart.figure, chart.height) for chart in shown.charts]),
        stage=shown.stage and inline_stage(shown.stage, "stage-hero"),
        manifest=dict(shown.manifest),
    )


def _unmarked(markdown: str) -> str:
    return expand(markdown).replace("*", "").replace("$", "")


def _ways(lessons: tuple[Lesson, ...], number: int) -> None:
    """Back, on, and into the projector's look; a presenter's remote sends PageUp and PageDown."""
    back, on = ("PageUp", "PageDown") if presenting() else ("B", "N")
    with st.container(horizontal=True, horizontal_alignment="distribute", key="ways"):
        st.button(
            "Back", key="lesson_back", icon=":material/arrow_back:", shortcut=back,
            disabled=number == 1, on_click=_turn, args=(-1, len(lessons)),
        )  # fmt: skip
        st.button(
            "Leave presenting" if presenting() else "Present",
            key="lesson_present", icon=":material/present_to_all:", on_click=toggle_presenting,
            help="Larger type and fewer controls; PageDown and PageUp turn the page, the space bar "
            "plays. In the address, hide=why,l4_other leaves out parts and single controls.",
        )  # fmt: skip
        st.button(
            "Next lesson", key="lesson_next", icon=":material/arrow_forward:", shortcut=on,
            type="primary", disabled=number == len(lessons),
            on_click=_turn, args=(1, len(lessons)),
        )  # fmt: skip
    if number == len(lessons):
        st.page_link(
            TRAIN_PAGE, label="The last lesson: train your own", icon=":material/play_circle:",
            query_params=carried(),
        )  # fmt: skip
