"""The study on a page: question, protocol, tables, curves, what failed, the defaults and why.

Everything shown is read from the files that `examples/study` writes.
"""

import pandas as pd
import streamlit as st

from samar.charts.study import arms_figure, rho_figure
from samar.home import ASSETS
from samar.web.plotly_chart import plotly_chart
from samar.web.state import STUDY_SETTING

FOLDER = ASSETS / "study"
CURVE_ARMS = ("sam", "samar_rho")


@st.cache_data(show_spinner=False)
def _rows() -> pd.DataFrame:
    """Every run of the study; one that diverged has learned nothing."""
    rows = pd.read_csv(FOLDER / "results.csv")
    return rows.assign(test_accuracy=rows.test_accuracy.where(rows.status == "finished", 0.0))


@st.cache_data(show_spinner=False)
def _table(name: str) -> pd.DataFrame:
    """One of the tables that follow from the runs, as text."""
    return pd.read_csv(FOLDER / f"{name}.csv", dtype=str, keep_default_na=False)


def _document(name: str) -> None:
    st.markdown((FOLDER / name).read_text(encoding="utf-8"))


def show() -> None:
    """Draw the page."""
    st.header("The study behind the defaults", anchor=False)
    _document("protocol.md")
    st.subheader("Was the goal met?", anchor=False)
    _document("findings.md")
    st.dataframe(_table("target"), hide_index=True, width="stretch", key="study_target")
    st.caption(
        "Points of test accuracy by which SAMAR at its defaults is ahead (+) or behind (−): mean "
        "paired difference and its 95 % interval. *Met* is at most half a point behind the best "
        "arm, and ahead of SGD. *At SGD's η* all run at the learning rate that SGD's trials chose; "
        "*late decay of η* is SAMAR with Temperon's learning rate against itself; *over ρ* is best "
        "minus worst of the trials, in points."
    )
    _arms()
    _over_rho()
    st.subheader("What the default was chosen from", anchor=False)
    st.caption(
        "Validation accuracy in percent, on one seed that no final run uses, a fifth of the "
        "training images held out; labels there are as noisy as the others. The last column says "
        "for which settings the others would have chosen this candidate."
    )
    st.dataframe(_table("candidates"), hide_index=True, width="stretch", key="study_tried")
    st.subheader("The defaults, and why", anchor=False)
    default = _table("arms").query("arm == 'samar'").settings.iloc[0]
    st.markdown(f"**{default}.**")
    _document("defaults.md")
    st.download_button(
        "All rows as CSV",
        (FOLDER / "results.csv").read_bytes(),
        "samar-study.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="study_csv",
    )
    st.code("python examples/study/study.py --help", language="bash")


def _titles() -> dict[str, str]:
    """The settings' titles by their keys."""
    arms = _table("arms")
    return dict(zip(arms.setting, arms.task, strict=True))


def _arms() -> None:
    st.subheader("Arm by arm", anchor=False)
    titles = _titles()
    setting = st.segmented_control(
        "Setting",
        list(titles),
        format_func=titles.__getitem__,
        default=next(iter(titles)),
        required=True,
        key=STUDY_SETTING,
    )
    lines = _table("arms")
    lines = lines[lines.setting == setting]
    rows = _rows()
    runs = lines[["arm", "title"]].merge(rows[(rows.setting == setting) & (rows.phase == "final")])
    plotly_chart(arms_figure(runs), key="study_chart_arms", height=120 + 30 * len(lines))
    shown = lines.drop(columns=["setting", "arm", "task"]).rename(columns={"title": "arm"})
    st.dataframe(shown, hide_index=True, width="stretch", key="study_table")
    st.caption(
        "Training accuracy counts the wrong labels as right: under label noise a low one is "
        "good, and the gap negative. Seconds are of one thread, with other work on the machine. h₁ "
        "and trace do not compare between settings."
    )


def _over_rho() -> None:
    st.subheader("How much does ρ matter?", anchor=False)
    st.caption("The trials of SAM and SAMAR: one seed, a fifth of the training images held out.")
    rows, titles = _rows(), _titles()
    trials = rows[(rows.phase == "tune") & rows.arm.isin(CURVE_ARMS)]
    grid = st.grid(2, min_column_width=360)
    for setting, found in trials.groupby("setting", sort=False):
        name = str(setting)
        with grid:
            plotly_chart(rho_figure(found, titles[name]), key=f"study_chart_{name}", height=340)
