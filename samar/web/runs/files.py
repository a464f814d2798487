"""Runs as files: what can be downloaded of one, and importing one from another machine."""

import io
import tempfile
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import streamlit as st

from samar.errors import SamarError
from samar.jobs.job import Job
from samar.web.service import history, service
from samar.web.state import IMPORT_PROBLEM, IMPORTED, RUN, TRAIN_PAGE
from samar.web.text import plain

MOST_UPLOAD_MB = 500


def download_menu(run: Job) -> None:
    """A menu of the forms in which a run can be taken away; each is made when it is asked for."""
    kinds: list[tuple[str, Callable[[], str | bytes], str, str]] = [
        ("Everything (ZIP)", lambda: _zip(run), "zip", "application/zip"),
        ("Report (HTML)", lambda: run_report(run), "html", "text/html"),
        ("Steps (CSV)", lambda: _csv(run, 0), "steps.csv", "text/csv"),
        ("Epochs (CSV)", lambda: _csv(run, 1), "epochs.csv", "text/csv"),
        (
            "Config (JSON)",
            lambda: run.settings.model_dump_json(indent=2),
            "json",
            "application/json",
        ),
    ]
    if find_spec("tensorboard") is not None:
        kinds.append(("TensorBoard (ZIP)", lambda: _tensorboard(run), "tb.zip", "application/zip"))
    with st.popover("Download", icon=":material/download:"):
        for label, content, suffix, mime in kinds:
            st.download_button(
                label,
                content,
                f"samar-{run.id}.{suffix}",
                mime,
                key=f"download_{suffix}",
                on_click="ignore",
                width="stretch",
            )
        st.caption("The ZIP holds settings, records, weights and checksums; import it below.")


def offer_import() -> None:
    """A place to drop the ZIP of a run from another machine."""
    with st.expander("Import a run", icon=":material/upload:"):
        st.file_uploader(
            "The ZIP of a run",
            type="zip",
            max_upload_size=MOST_UPLOAD_MB,
            key="run_upload",
            on_change=_import,
            help="Written by Download, or by: python -m samar export RUN --out RUN.zip. Larger "
            "files: python -m samar import FILE.zip.",
        )
        if problem := st.session_state.pop(IMPORT_PROBLEM, None):
            st.error(plain(problem), icon=":material/error:")
        if run_id := st.session_state.pop(IMPORTED, None):
            run = service().get(run_id)
            st.success(f"Imported: {plain(run.title)} · {run.id}", icon=":material/check:")
            st.page_link(
                TRAIN_PAGE,
                label="Open it",
                icon=":material/open_in_new:",
                query_params={RUN: run_id},
            )


def run_report(run: Job) -> str:
    """The stand-alone HTML report of a run."""
    from samar.charts.html.report import Recorded, report_html
    from samar.exchange.manifest import manifest_of

    store = service().store
    steps, epochs = history(run).refresh()
    events = store.records.events(run.key)
    return report_html([Recorded(run, steps, epochs, events, manifest_of(store, run))])


def _import() -> None:
    from samar.exchange.importing import import_run

    if (file := st.session_state["run_upload"]) is not None:
        try:
            st.session_state[IMPORTED] = import_run(file, service().store)
        except SamarError as error:
            st.session_state[IMPORT_PROBLEM] = str(error)


def _csv(run: Job, part: int) -> str:
    """Every recorded step (part 0) or epoch (part 1), one line each."""
    return str(pd.DataFrame(history(run).refresh()[part]).to_csv(index=False))


def _zip(run: Job) -> bytes:
    from samar.exchange.archive import run_zip

    return run_zip(service().store, run)


def _tensorboard(run: Job) -> bytes:
    from samar.exchange.tensorboard import write_tensorboard

    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        target = write_tensorboard(service().store, run, Path(folder))
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(target.rglob("*")):
                archive.write(path, path.relative_to(folder))
    return content.getvalue()
