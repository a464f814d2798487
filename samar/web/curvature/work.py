"""Measuring curvature within the page: progress as products land, and a way out at any of them."""

import time
from typing import TYPE_CHECKING

import streamlit as st

from samar.curvature.settings import CurvatureSettings
from samar.errors import SamarError
from samar.web.curvature.choice import Choice, Source
from samar.web.text import plain

if TYPE_CHECKING:
    from samar.curvature.result import Report

RESULTS = "curvature_results"
"""Session: reports by (source, request), newest last."""

KEPT_RESULTS = 12
SHOW_EVERY = 0.1

Key = tuple[Source, CurvatureSettings]


def known(choice: Choice) -> list[tuple[str, "Report"]] | None:
    """What this choice gave when it was measured before, in this tab; None if a part is missing."""
    results: dict[Key, Report] = st.session_state.get(RESULTS, {})
    tasks = choice.tasks()
    if any((source, request) not in results for _, source, request in tasks):
        return None
    return [(title, results[source, request]) for title, source, request in tasks]


def compute(choice: Choice) -> None:
    """Measure what is not known yet; any click, Cancel above all, ends it at the next product."""
    results: dict[Key, Report] = st.session_state.setdefault(RESULTS, {})
    place = st.empty()
    with place.container(key="curvature_progress"):
        line = st.empty()
        line.markdown("Loading the network and its images…")
        st.button("Cancel", icon=":material/close:", key="curvature_cancel")
    for title, source, request in choice.tasks():
        if (source, request) in results:
            continue
        try:
            results[source, request] = _measure(title, source, request, line)
        except SamarError as error:
            place.empty()
            st.error(plain(str(error)), icon=":material/error:")
            st.stop()
    while len(results) > KEPT_RESULTS:
        results.pop(next(iter(results)))
    place.empty()


def _measure(
    title: str,
    source: Source,
    request: CurvatureSettings,
    line: "st.delta_generator.DeltaGenerator",
) -> "Report":
    from samar.kinds.curvature import measure_subject

    shown = 0.0

    def progress(sentence: str) -> None:
        nonlocal shown
        if time.monotonic() - shown > SHOW_EVERY:
            # Writing to the page is also where a click interrupts the script.
            line.markdown(f"{plain(title)}: {plain(sentence)}")
            shown = time.monotonic()

    of_file = {name: getattr(source, name) for name in ("model", "dataset", "normalize")}
    return measure_subject(source.what, request, of_file=of_file, progress=progress)
