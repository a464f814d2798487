"""The app of ``chart_demo.py``, with the files that charts load."""

from pathlib import Path

import streamlit as st

from samar.web.server import routes

app = st.App(Path(__file__).with_name("chart_demo.py"), routes=routes())
