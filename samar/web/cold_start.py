"""The first session of a server, if it comes by a deep link.

Until some session has called ``st.navigation``, Streamlit looks for pages itself (a relic of its
older multipage apps, on because the folder ``pages/`` exists), does not find the one that the link
names, and opens a dialog "Page not found". Loading the same address once more finds it.
"""

import streamlit as st

from samar.charts.html.render import render


@st.cache_resource
def _seen() -> list[bool]:
    return []


def first_session() -> bool:
    """Whether this server has not been asked before."""
    if _seen():
        return False
    _seen().append(True)
    return True


def load_again() -> None:
    """Reload the browser's page."""
    st.html(render("reload.html.j2"), unsafe_allow_javascript=True)
