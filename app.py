"""The browser app: ``streamlit run app.py``. What it shows is drawn by :mod:`samar.web.main`."""

import streamlit as st

from samar.web import main
from samar.web.server import routes

app = st.App(main.__file__, routes=routes())
