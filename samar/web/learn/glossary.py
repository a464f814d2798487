"""Words with their explanation: under the pointer, at a tap, or by the Tab key."""

import html

import streamlit as st

from samar.web.learn.papers import SOURCES
from samar.web.learn.words import TERMS, Term, expand
from samar.web.presenting import carried
from samar.web.state import LESSON, LESSONS_PAGE
from samar.web.text import plain

_TERM = (
    '<span class="samar-term" tabindex="0" role="note" aria-label="{title}: {short}">{title}'
    '<span class="samar-tip" aria-hidden="true">{short}</span></span>'
)
_STYLE = """<style>
.samar-term { position: relative; cursor: help; white-space: nowrap;
  text-decoration: underline dotted 1.5px; text-underline-offset: 0.2em; }
.samar-term:focus-visible { outline: 2px solid #0072B2; outline-offset: 2px; }
.samar-tip { display: none; position: absolute; left: 0; top: 1.7em; z-index: 1000;
  width: max-content; max-width: min(18rem, 70vw); padding: 0.5rem 0.7rem; white-space: normal;
  font-size: 0.875rem; font-weight: 400; line-height: 1.4; text-align: left;
  color: #ffffff; background: #1b2530; border: 1px solid #56616d; border-radius: 0.4rem; }
.samar-term:hover .samar-tip, .samar-term:focus .samar-tip { display: block; }
@supports (anchor-scope: --samar) {  /* turns to the other side where the window ends */
  .samar-term { anchor-name: --samar; anchor-scope: --samar; position: static; }
  .samar-tip { position: fixed; position-anchor: --samar; left: auto; top: auto; margin-top: 0.2rem;
    position-area: bottom span-right; position-try-fallbacks: flip-inline, flip-block; }
}
@media (max-width: 640px) {
  .samar-tip { position: fixed; position-area: none; left: 1rem; right: 1rem; top: auto;
    bottom: 1rem; width: auto; max-width: none; }
}
</style>"""


def glossary_style() -> None:
    """Put the look of explained words on the page; once per page."""
    st.html(_STYLE)


def term(key: str, shown: str = "") -> str:
    """A word as HTML, for Markdown that allows it.

    Args:
        key: of :data:`samar.web.learn.words.TERMS`.
        shown: how the word reads here; its title if empty.
    """
    mark = f"[[{key}|{shown}]]" if shown else f"[[{key}]]"
    return expand(mark, _TERM)


def prose(text: str) -> None:
    """Draw our own Markdown with its marked words explained; never text from a person."""
    st.markdown(expand(text, _TERM), unsafe_allow_html=True)


def glossary(find: str = "") -> None:
    """Draw every term whose words hold ``find``, with equations and sources."""
    wanted = find.strip().lower()
    found = {
        key: item
        for key, item in TERMS.items()
        if wanted in f"{item.title} {item.short} {expand(item.long)}".lower()
    }
    if not found:
        st.info(f"No word here holds “{plain(find)}”.", icon=":material/search_off:")
    with st.grid(2, min_column_width=360):
        for key, item in sorted(found.items(), key=lambda pair: pair[1].title.lower()):
            with st.container(border=True, key=f"term_{key}", height="stretch"):
                _entry(item)


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


def sources() -> None:
    """Draw every paper that is cited."""
    for source in SOURCES.values():
        st.markdown(f"- {html.escape(str(source))}")
