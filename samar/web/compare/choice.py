"""Which runs are compared: ids in the URL, chosen in the table of runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from samar.jobs.job import Job
from samar.web.runs.table import filtered, select_runs
from samar.web.service import service
from samar.web.state import COMPARED, COMPARED_LINK, COMPARED_TABLE
from samar.web.text import plain

MOST_RUNS = 40


@dataclass(frozen=True)
class Chosen:
    """The runs of the page, in the order of the link, and all there are."""

    runs: tuple[Job, ...]
    all: tuple[Job, ...]


def choose() -> Chosen:
    """Draw the chooser and return what it says; what the link names and is gone is told."""
    everything = service().all("train")
    known = {run.id: run for run in everything}
    link = st.query_params.get(COMPARED, "")
    state = st.session_state
    if link != state.get(COMPARED_LINK):  # not what this page wrote there: the link wins
        state[COMPARED_LINK], state[COMPARED_TABLE] = link, state.get(COMPARED_TABLE, 0) + 1
    linked = list(dict.fromkeys(filter(None, link.split(","))))
    missing = [run_id for run_id in linked if run_id not in known]
    wanted = [run_id for run_id in linked if run_id in known]
    if missing:
        st.warning(
            f"{_count(missing)} in the link {'is' if len(missing) == 1 else 'are'} not on this "
            f"machine: {plain(', '.join(missing[:5]))[:200]}.",
            icon=":material/link_off:",
        )
    with st.expander(
        f"Choose runs ({len(wanted)} chosen)", expanded=len(wanted) < 2, key="compare_choice"
    ):
        shown = filtered(everything)
        with st.container(key="compare_table"):
            table = f"compared_{state[COMPARED_TABLE]}"
            picked = [run.id for run in select_runs(shown, table, wanted)] if shown else []
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
    return Chosen(tuple(known[i] for i in wanted[:MOST_RUNS]), tuple(everything))


def _count(what: Sequence[str]) -> str:
    return f"{len(what)} run{'' if len(what) == 1 else 's'}"
