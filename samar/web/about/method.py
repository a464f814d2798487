"""The Method page: what is computed, what the paper fixes, and what is ours."""

from pathlib import Path

import streamlit as st

from samar.optim.catalog import OPTIMIZERS, RULES, SECOND_PASSES
from samar.version import __version__
from samar.web.text import sections


def show() -> None:
    """Draw the page: our words, and what the catalogs say of rules, optimizers and policies."""
    texts = sections(Path(__file__).with_name("method.md").read_text(encoding="utf-8"))
    st.header("What is computed here", anchor=False)
    st.markdown(texts[""])
    ours, second = "What is the paper's, what is ours", "When the second gradient is taken"
    st.subheader(ours, anchor=False)
    st.warning(texts[ours], icon=":material/menu_book:")
    for info in RULES.values():
        st.markdown(f"**{info.title}.** {info.help}")
        st.latex(info.formula)
    st.subheader("The optimizers", anchor=False)
    for optimizer in OPTIMIZERS.values():
        one = optimizer.gradients_per_step == 1
        gradients = "one gradient" if one else "at most two gradients"
        st.markdown(f"**{optimizer.title}** ({gradients} a step). {optimizer.help}")
        st.latex(optimizer.formula)
    st.subheader(second, anchor=False)
    st.markdown(texts[second])
    for policy in SECOND_PASSES.values():
        only = " SAMAR only." if policy.needs_lam else ""
        st.markdown(f"**{policy.title}.** {policy.help}{only}")
    st.caption(f"{texts['In all of them']} samar {__version__}.")
