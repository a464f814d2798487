"""Words with their explanation: under the pointer, at a tap, or by the Tab key."""

from pathlib import Path

import streamlit as st

from samar.charts.html.render import render
from samar.web.learn.papers import SOURCES
from samar.web.learn.words import TERMS, Term, expand
from samar.web.presenting import carried
from samar.web.state import LESSON, LESSONS_PAGE
from samar.web.text import plain

STYLE = Path(__file__).with_name("glossary.css")


def glossary_style() -> None:
    """Put the look of explained words on the page; once per page."""
    st.html(STYLE)


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
    found = {
        key: item
        for key, item in TERMS.items()
        if find.strip().lower() in f"{item.title} {item.short} {expand(item.long)}".lower()
    }
    if not found:
        st.info(f"No word here holds “{plain(find)}”.", icon=":material/search_off:")
    with st.grid(2, min_column_width=360):
        for key, item in sorted(found.items(), key=lambda pair: pair[1].title.lower()):
            with st.container(border=True, key=f"term_{key}", height="stretch"):
                _entry(item)
    st.subheader("Papers", anchor=False)
    for source in SOURCES.values():
        st.markdown(f"- {source}")


def _entry(item: Term) -> None:
    st.markdown(f"**{item.title[0].upper() + item.title[1:]}.** {item.short}")
    if item.long:
        prose(item.long)
    if item.equation:
        st.latex(item.equation)
    if item.sources:
        st.caption("  \n".join(str(SOURCES[source]) for source in item.sources))
    if item.lesson:
        st.page_link(
            LESSONS_PAGE,
            label=f"Seen in lesson {item.lesson}",
            icon=":material/school:",
            query_params={LESSON: str(item.lesson), **carried()},
        )
