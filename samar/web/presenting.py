"""Presenting with a projector: ``?present=1`` enlarges, ``?hide=notes,controls`` leaves things out.

Both stay with the tab until they are switched off: Streamlit drops the address' parameters when the
reader follows a link of the navigation, so they are kept in the session and put back.
"""

import re

import streamlit as st

from samar.charts.html.render import render
from samar.web.state import HIDE, PRESENT

WIDGET = re.compile(r"[a-z0-9_]{1,40}")
"""What a name in ``?hide=`` may be: a part of a page, or the key of a widget on it."""


def presenting() -> bool:
    """Whether this tab shows the page to a room."""
    return bool(st.session_state.get(PRESENT))


def hidden(name: str) -> bool:
    """Whether a part of the page is left out."""
    return name in st.session_state.get(HIDE, ())


def apply_presenting() -> None:
    """Read the address, remember it for the next page, and put the look on this one."""
    asked = st.query_params.get(PRESENT)
    if asked is not None:
        st.session_state[PRESENT] = asked == "1"
    if (names := st.query_params.get(HIDE)) is not None:
        st.session_state[HIDE] = tuple(n for n in names.split(",") if WIDGET.fullmatch(n))
    if presenting() and asked != "1":
        st.query_params[PRESENT] = "1"
    if (hide := st.session_state.get(HIDE)) and names is None:
        st.query_params[HIDE] = ",".join(hide)
    if presenting() or hide:
        st.html(render("presenting.html.j2", presenting=presenting(), hide=hide or ()))


def toggle_presenting() -> None:
    """Switch the look, in a callback."""
    st.session_state[PRESENT] = not presenting()
    if presenting():
        st.query_params[PRESENT] = "1"
    else:
        st.query_params.pop(PRESENT, None)


def carried() -> dict[str, str]:
    """Parameters that a link within the app takes along."""
    kept = {PRESENT: "1"} if presenting() else {}
    if hide := st.session_state.get(HIDE):
        kept[HIDE] = ",".join(hide)
    return kept
