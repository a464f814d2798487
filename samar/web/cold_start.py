"""The first sessions of a server: what all pages share is imported once, and deep links are mended.

Until some session has called ``st.navigation``, Streamlit looks for pages itself (a relic of its
older multipage apps, on because the folder ``pages/`` exists), does not find the one that a link
names, and opens a dialog "Page not found". Loading the same address once more finds it.
"""

import os
import sys
import threading
from importlib import import_module
from types import FrameType

import streamlit as st
from streamlit import net_util

from samar.charts.html.render import render
from samar.web.state import BEGUN

SHARED = ("pandas", "pyarrow", "plotly.graph_objects", "samar.web.service", "samar.web.controls")
for _name in SHARED:  # while other sessions wait: several at once can be given half of a package
    import_module(_name)

# Among many scripts that compute, the server's own thread gets its turn five times as soon.
sys.setswitchinterval(0.001)

TURNS = threading.BoundedSemaphore(1 + (os.cpu_count() or 1))
"""So many pages are drawn at once; more would not be drawn sooner, and the server would answer
nobody meanwhile."""

RELIC = "_mpa_v1"
"""Streamlit's function that looks for pages."""

# About a connection from a foreign origin Streamlit asks a public address for this machine's own,
# and the server waits for the answer. Only what this machine knows by itself is asked.
net_util._external_ip = "127.0.0.1"


def came_cold() -> bool:
    """Whether Streamlit looked for pages itself before it first ran the app for this session."""
    if BEGUN in st.session_state:
        return False
    st.session_state[BEGUN] = True
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == RELIC:
            return True
        frame = frame.f_back
    return False


def load_again() -> None:
    """Reload the browser's page."""
    st.html(render("reload.html.j2"), unsafe_allow_javascript=True)
