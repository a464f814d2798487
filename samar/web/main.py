"""The script that Streamlit runs for every visit and every press: sets the page and routes."""

from itertools import groupby

import streamlit as st

from samar.home import ASSETS
from samar.web.pages import PAGES
from samar.web.presenting import apply_presenting
from samar.web.server import TURNS
from samar.web.service import explained, welcome


def main() -> None:
    """Draw the page that the address names."""
    st.set_page_config(
        "samar",
        page_icon=str(ASSETS / "icon.svg"),
        layout="wide",
        menu_items={"About": "SAMAR, sharpness and λ, live. See the About page."},
    )
    page = st.navigation(
        {
            group: [
                st.Page(
                    page.path,
                    title=page.title,
                    icon=f":material/{page.icon}:",
                    default=not page.group,
                )
                for page in pages
            ]
            for group, pages in groupby(PAGES.values(), lambda page: page.group)
        },
        position="top",
    )
    apply_presenting()
    welcome()
    with explained(), TURNS:
        page.run()


if __name__ == "__main__":
    main()
