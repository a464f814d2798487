"""The stage on the page; the server's stream tells it what is new, and orders go back by POST."""

from typing import Any

import streamlit as st

from samar.charts.training import View
from samar.web.live.stage import MOST_RUNS, Shown, empty_stage
from samar.web.server import PLOTLY_JS, static_url
from samar.web.stage import live_stage
from samar.web.state import COMPARED, show_run
from samar.web.train.experiments import steering

UNITS = {"step": "steps", "grad_evals": "gradients", "seconds": "s"}


def several() -> list[str]:
    """Runs that the address puts together on the stage."""
    names = st.query_params.get(COMPARED, "").split(",")
    return list(dict.fromkeys(name for name in names if name))[:MOST_RUNS]


def stage(shown: Shown, view: View) -> None:
    """Draw the stage; the page is drawn anew when a run on it ends, or begins."""
    look: dict[str, Any] = {"axis": view.x, "smoothing": view.smoothing, "log": view.log}
    live_stage(
        key="stage",
        data={
            "numbers": shown.numbers,
            "still": None if shown.runs else empty_stage(),
            "view": look | {"unit": UNITS[view.x]},
            "steer": steering(shown.whole),
            "drawn": shown.state,
            "library": static_url(PLOTLY_JS),
        },
        on_moved_change=lambda: None,
        on_go_change=_go,
    )


def _go() -> None:
    """Show the run that a branch began."""
    show_run(str(st.session_state["stage"]["go"]))
