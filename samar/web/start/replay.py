"""A recorded run that plays on the start page as soon as it is open."""

import streamlit as st

from samar.errors import DataError
from samar.web.plotly_chart import figure_json, plotly_chart

RECORDING, SAMAR, SGD = "noisy_digits", "samar_0", "sgd_0"


def replay() -> None:
    """Draw the charts; they play once, and again at a press of play or the space bar."""
    try:
        figures = _figures()
    except DataError as error:
        st.warning(str(error), icon=":material/history:")
        return
    with st.grid(2, min_column_width=360):
        for name, figure in figures.items():
            plotly_chart(figure, key=f"replay_{name}", height=250, clock="replay", play="start")


@st.cache_resource(show_spinner=False)
def _figures() -> dict[str, str]:
    from samar.charts.lessons.replay import replay_figures
    from samar.recordings.catalog import recording

    runs = recording(RECORDING).runs
    return {
        name: figure_json(figure) for name, figure in replay_figures(runs[SAMAR], runs[SGD]).items()
    }
