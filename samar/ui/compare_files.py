"""What can be taken away from the Compare page."""

from collections.abc import Sequence

import streamlit as st

from samar.runs import Run
from samar.ui.compare_curves import epochs_of, events_of, steps_of
from samar.ui.service import service


def downloads(runs: Sequence[Run]) -> None:
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


def _report(runs: Sequence[Run]) -> str:
    from samar.exchange import manifest_of
    from samar.figures.report_html import Recorded, report_html

    store = service().store
    return report_html(
        [
            Recorded(run, steps_of(run), epochs_of(run), events_of(run), manifest_of(store, run))
            for run in runs
        ]
    )
