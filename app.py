"""The browser app: ``streamlit run app.py``. Sets the page, serves static files, routes."""

from itertools import groupby
from pathlib import Path

import streamlit as st

from samar.charts.html.render import render
from samar.home import ASSETS
from samar.web.pages import PAGES
from samar.web.presenting import apply_presenting
from samar.web.server import TURNS, came_cold, ensure_static
from samar.web.service import explained, welcome

st.set_page_config(
    "samar",
    page_icon=str(ASSETS / "icon.svg"),
    layout="wide",
    menu_items={"About": "SAMAR, sharpness and λ, live. See the About page."},
)
ensure_static(Path(__file__).parent / "static")
cold = came_cold()
page = st.navigation(
    {
        group: [
            st.Page(
                page.path, title=page.title, icon=f":material/{page.icon}:", default=not page.group
            )
            for page in pages
        ]
        for group, pages in groupby(PAGES.values(), lambda page: page.group)
    },
    position="top",
)
if cold and page.url_path:
    st.html(render("reload.html.j2"), unsafe_allow_javascript=True)
else:
    apply_presenting()
    welcome()
    with explained(), TURNS:
        page.run()
