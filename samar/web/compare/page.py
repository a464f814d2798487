"""The Compare page: several runs laid over each other, and whether flatness predicted anything."""

from collections.abc import Sequence

import streamlit as st

from samar.jobs.job import Job
from samar.web.compare.curves import curves, runs_of
from samar.web.compare.flatness import flatness
from samar.web.compare.settings import settings
from samar.web.controls import segmented
from samar.web.jobs.files import report
from samar.web.jobs.table import filtered, select_jobs
from samar.web.service import id_of, service
from samar.web.state import COMPARED, COMPARED_LINK, COMPARED_TABLE, TRAIN_PAGE
from samar.web.text import plain

MOST_RUNS = 40
VIEWS = {
    "curves": "Curves",
    "settings": "Settings and results",
    "flatness": "Flatness report",
}


def compare_page() -> None:
    """Draw the choice of runs, the chosen view of them, and the downloads."""
    st.header("Compare", anchor=False)
    everything = service().all("train")
    if not everything:
        st.info("No runs yet.", icon=":material/info:")
        st.page_link(TRAIN_PAGE, label="Train one", icon=":material/play_circle:")
        return
    runs = _choose(everything)
    view = segmented("View", "compare_view", VIEWS)
    if view == "flatness":
        flatness(runs, everything)
    elif not runs:
        st.info("Choose two or more runs above.", icon=":material/arrow_upward:")
    elif view == "settings":
        settings(runs)
    else:
        curves(runs)
    if runs:
        _downloads(runs)


def _choose(everything: Sequence[Job]) -> list[Job]:
    """Draw the table to choose from; the link holds the ids, and what it names and is gone is told.

    Returns:
        The runs of the page, in the order of the link.
    """
    known = {run.id: run for run in everything}
    link = st.query_params.get(COMPARED, "")
    state = st.session_state
    if link != state.get(COMPARED_LINK):  # not what this page wrote there: the link wins
        state[COMPARED_LINK], state[COMPARED_TABLE] = link, state.get(COMPARED_TABLE, 0) + 1
    words = list(filter(None, link.split(",")))
    linked = list(dict.fromkeys(w if w in known else id_of(w, "train") for w in words))
    if any(word not in linked for word in words):
        st.query_params[COMPARED] = state[COMPARED_LINK] = ",".join(linked)
    missing = [run_id for run_id in linked if run_id not in known]
    wanted = [run_id for run_id in linked if run_id in known]
    for run in everything:
        if run.id in missing:
            missing.remove(run.id)
            st.warning(f"{plain(run.label)}: {plain(run.message)}", icon=":material/link_off:")
    if missing:
        count = f"{len(missing)} run{'s' if len(missing) > 1 else ''}"
        st.warning(
            f"{count} in the link {'are' if len(missing) > 1 else 'is'} not on this machine: "
            f"{plain(', '.join(missing[:5]))[:200]}.",
            icon=":material/link_off:",
        )
    with st.expander(
        f"Choose runs ({len(wanted)} chosen)", expanded=len(wanted) < 2, key="compare_choice"
    ):
        shown = filtered(list(known.values()))
        with st.container(key="compare_table"):
            table = f"compared_{state[COMPARED_TABLE]}"
            picked = [run.id for run in select_jobs(shown, table, wanted)] if shown else []
        if not shown:
            st.info("No run passes the filter.", icon=":material/filter_alt:")
        hidden = set(wanted) - {run.id for run in shown}
        new = [i for i in wanted if i in hidden or i in picked]
        new += [i for i in picked if i not in new]
        if new != wanted:
            st.query_params[COMPARED] = state[COMPARED_LINK] = ",".join(new)
            st.rerun()
    if len(wanted) > MOST_RUNS:
        st.warning(
            f"{len(wanted)} runs are chosen; the first {MOST_RUNS} are compared.",
            icon=":material/filter_alt:",
        )
    return [known[i] for i in wanted[:MOST_RUNS]]


def _downloads(runs: Sequence[Job]) -> None:
    """The report as one file, and the command that prints the same."""
    with st.expander("Export", icon=":material/download:"):
        st.download_button(
            "Report (HTML)",
            lambda: report(runs_of([run.id for run in runs])),
            "samar-compare.html",
            "text/html",
            key="compare_html",
            on_click="ignore",
            icon=":material/download:",
            help="Figures, results, settings and manifests in one file that opens without a "
            "network.",
        )
        ids = " ".join(run.id for run in runs)
        st.code(f"python -m samar compare {ids}", language="bash", wrap_lines=True)
