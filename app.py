"""The browser app: ``streamlit run app.py``. Sets the page, serves static files, routes."""

from pathlib import Path

import streamlit as st

from samar.home import ASSETS
from samar.web.cold_start import TURNS, came_cold, load_again
from samar.web.presenting import apply_presenting
from samar.web.service import explained, welcome
from samar.web.static_files import ensure_static

st.set_page_config(
    "samar",
    page_icon=str(ASSETS / "icon.svg"),
    layout="wide",
    menu_items={"About": "SAMAR, sharpness and λ, live. See the About page."},
)
ensure_static(Path(__file__).parent / "static")

page = st.navigation(
    {
        "": [
            st.Page("pages/home/start.py", title="Start", icon=":material/home:", default=True),
        ],
        "Learn": [
            st.Page("pages/learn/playground.py", title="Playground", icon=":material/toys:"),
            st.Page("pages/learn/lessons.py", title="Lessons", icon=":material/school:"),
            st.Page("pages/learn/lecture.py", title="Lecture", icon=":material/co_present:"),
            st.Page("pages/learn/glossary.py", title="Glossary", icon=":material/dictionary:"),
        ],
        "Experiment": [
            st.Page("pages/experiment/train.py", title="Train", icon=":material/play_circle:"),
            st.Page("pages/experiment/runs.py", title="Jobs", icon=":material/list:"),
            st.Page("pages/experiment/sweeps.py", title="Sweeps", icon=":material/grid_on:"),
        ],
        "Analyse": [
            st.Page("pages/analysis/models.py", title="Models", icon=":material/inventory_2:"),
            st.Page("pages/analysis/landscape.py", title="Landscape", icon=":material/landscape:"),
            st.Page("pages/analysis/curvature.py", title="Curvature", icon=":material/ssid_chart:"),
            st.Page(
                "pages/analysis/connectivity.py", title="Connectivity", icon=":material/route:"
            ),
            st.Page("pages/analysis/compare.py", title="Compare", icon=":material/compare:"),
        ],
        "About": [
            st.Page("pages/home/about.py", title="Method", icon=":material/info:"),
            st.Page("pages/home/study.py", title="Study", icon=":material/science:"),
        ],
    },
    position="top",
)
if came_cold() and page.url_path:
    load_again()
else:
    apply_presenting()
    welcome()
    with explained(), TURNS:
        page.run()
