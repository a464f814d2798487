"""What can be taken away from the Compare page."""

from collections.abc import Sequence

import streamlit as st

from samar.jobs.job import Job
from samar.web.compare.curves import epochs_of, events_of, steps_of
from samar.web.service import service


def downloads(runs: Sequence[Job]) -> None:
    """The report as one file, and the command that prints the same."""
    with st.expander("Take this away", icon=":material/download:"):
        st.download_button(
            "Report (HTML)",
            lambda: _report(runs),
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


def _report(runs: Sequence[Job]) -> str:
    from samar.charts.html.report import Recorded, report_html
    from samar.exchange.manifest import manifest_of

    store = service().store
    return report_html(
        [
            Recorded(run, steps_of(run), epochs_of(run), events_of(run), manifest_of(store, run))
            for run in runs
        ]
    )
