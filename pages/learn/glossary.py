"""Glossary: the words of the field, with equations and sources."""

import streamlit as st

from samar.web.learn.glossary import glossary, glossary_style, sources

glossary_style()
st.header("Glossary", anchor=False)
st.caption("Dotted words explain themselves: point at them, tap them, or reach them with Tab.")
glossary(st.text_input("Find", key="find", max_chars=40, placeholder="sharpness, ρ, ratio…"))
st.subheader("Papers", anchor=False)
sources()
