"""The glossary: words that explain themselves under the pointer, at a tap or by Tab, and papers.

The words stand in ``glossary.md``, the papers in ``papers.md``. A text marks a word as ``[[key]]``
or ``[[key|as it reads here]]``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from samar.charts.html.render import render
from samar.web.presenting import carried
from samar.web.state import LESSON, LESSONS_PAGE
from samar.web.text import plain, sections

FOLDER = Path(__file__).parent
MARK = re.compile(r"\[\[([a-z0-9_]+)(?:\|([^\]]+))?\]\]")
SOURCES: dict[str, str] = dict(
    re.findall(r"^- `(\w+)` (.*)$", (FOLDER / "papers.md").read_text("utf-8"), re.MULTILINE)
)
"""Papers by the names under which words and lessons cite them."""


@dataclass(frozen=True)
class Term:
    """A word.

    Attributes:
        title: the word as it reads within a sentence.
        short: one sentence for a hover label, in plain words and without mathematics.
        long: Markdown for the glossary; may hold equations and other marked words.
        sources: keys of :data:`SOURCES`.
        lesson: number of the lesson that shows it, or nothing.
    """

    title: str
    short: str
    long: str
    sources: tuple[str, ...]
    lesson: str


def _term(title: str, text: str) -> Term:
    short, *paragraphs = text.split("\n\n")
    ends = dict(p.split(": ", 1) for p in paragraphs if p.startswith(("Papers: ", "Lesson: ")))
    long = "\n\n".join(p for p in paragraphs if not p.startswith(("Papers: ", "Lesson: ")))
    sources = tuple(filter(None, ends.get("Papers", "").split(", ")))
    return Term(title, short.replace("\n", " "), long, sources, ends.get("Lesson", ""))


TERMS: dict[str, Term] = {
    key: _term(title, text)
    for heading, text in sections((FOLDER / "glossary.md").read_text("utf-8")).items()
    for key, found, title in [heading.partition(": ")]
    if found
}


def expand(text: str, draw: Callable[[str, str], str] = lambda title, short: title) -> str:
    """Replace every mark by what ``draw`` makes of the word, as it reads here, and its ``short``.

    Raises:
        KeyError: a marked word is not among :data:`TERMS`.
    """

    def drawn(match: re.Match[str]) -> str:
        term = TERMS[match[1]]
        return draw(match[2] or term.title, term.short)

    return MARK.sub(drawn, text)


def glossary_style() -> None:
    """Put the look of explained words on the page; once per page."""
    st.html(FOLDER / "glossary.css")


def term(title: str, short: str) -> str:
    """A word with its explanation, as HTML for Markdown that allows it."""
    return render("term.html.j2", title=title, short=short)


def prose(text: str) -> None:
    """Draw our own Markdown with its marked words explained; never text from a person."""
    st.markdown(expand(text, term), unsafe_allow_html=True)


def show() -> None:
    """Draw the page."""
    glossary_style()
    st.header("Glossary", anchor=False)
    st.caption("Dotted words explain themselves: point at them, tap them, or reach them with Tab.")
    find = st.text_input("Find", key="find", max_chars=40, placeholder="sharpness, ρ, ratio…")
    matching = {
        key: item
        for key, item in TERMS.items()
        if find.strip().lower() in f"{item.title} {item.short} {expand(item.long)}".lower()
    }
    if not matching:
        st.info(f"No word here holds “{plain(find)}”.", icon=":material/search_off:")
    with st.grid(2, min_column_width=360):
        for key, item in sorted(matching.items(), key=lambda pair: pair[1].title.lower()):
            with st.container(border=True, key=f"term_{key}", height="stretch"):
                _entry(item)
    st.subheader("Papers", anchor=False)
    st.markdown("\n".join(f"- {source}" for source in SOURCES.values()))


def _entry(item: Term) -> None:
    st.markdown(f"**{item.title[0].upper() + item.title[1:]}.** {item.short}")
    if item.long:
        prose(item.long)
    if item.sources:
        st.caption("  \n".join(SOURCES[source] for source in item.sources))
    if item.lesson:
        st.page_link(
            LESSONS_PAGE,
            label=f"Seen in lesson {item.lesson}",
            icon=":material/school:",
            query_params={LESSON: item.lesson, **carried()},
        )
