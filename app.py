"""The browser app: ``streamlit run app.py``. Sets the page, serves static files, routes."""

from pathlib import Path

import streamlit as st

from samar.ui.cold_start import first_session, load_again
from samar.ui.static_files import ensure_static

HERE = Path(__file__).parent

st.set_page_config(
    "samar",
    page_icon=str(HERE / "assets" / "icon.svg"),
    layout="wide",
    menu_items={"About": "SAMAR, sharpness and λ, live. See the About page."},
)
ensure_static(HERE / "static")

page = st.navigation(
    {
        "": [
            st.Page("pages/home/start.py", title="Start", icon=":material/home:", default=True),
        ],
        "Experiment": [
            st.Page("pages/experiment/train.py", title="Train", icon=":material/play_circle:"),
            st.Page("pages/experiment/runs.py", title="Runs", icon=":material/list:"),
        ],
        "Analyse": [
            st.Page("pages/analysis/landscape.py", title="Landscape", icon=":material/landscape:"),
            st.Page("pages/analysis/curvature.py", title="Curvature", icon=":material/ssid_chart:"),
        ],
        "About": [
            st.Page("pages/home/about.py", title="Method", icon=":material/info:"),
        ],
    },
    position="top",
)
if first_session() and page.url_path:
    load_again()
else:
    page.run()
