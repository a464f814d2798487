"""Jobs as files: what can be downloaded of one, and importing one from another machine."""

import io
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import streamlit as st

from samar.errors import SamarError
from samar.jobs.job import Job
from samar.jobs.kind import trains
from samar.jobs.roles import mark_of
from samar.web.pages import page_of
from samar.web.service import (
    cannot_upload,
    checked_upload,
    history,
    most_upload_mb,
    sentence_of,
    service,
)
from samar.web.state import IMPORT_PROBLEM, IMPORTED
from samar.web.text import plain

MOST_UPLOAD_MB = 500


def download_menu(job: Job) -> None:
    """A menu of the forms in which a job can be taken away; each is made when it is asked for."""
    config = job.settings.model_dump_json
    forms: list[tuple[str, Callable[[], str | bytes], str, str]] = [
        ("Everything (ZIP)", lambda: _zip(job), "zip", "application/zip"),
        ("Settings (JSON)", lambda: config(indent=2), "json", "application/json"),
    ]
    if trains(job.kind):
        forms += [
            ("Report (HTML)", lambda: report([job]), "html", "text/html"),
            ("Steps (CSV)", lambda: _csv(job, 0), "steps.csv", "text/csv"),
            ("Epochs (CSV)", lambda: _csv(job, 1), "epochs.csv", "text/csv"),
        ]
        if find_spec("tensorboard") is not None:
            tensorboard = ("TensorBoard (ZIP)", lambda: _tensorboard(job), "tb.zip")
            forms.append((*tensorboard, "application/zip"))
    with st.popover("Download", icon=":material/download:"):
        for label, content, suffix, mime in forms:
            st.download_button(
                label,
                content,
                f"samar-{job.id}.{suffix}",
                mime,
                key=f"download_{suffix}",
                on_click="ignore",
                width="stretch",
            )
        st.caption("The ZIP holds settings, records, files and checksums; import it below.")


def offer_import() -> None:
    """A place to drop the ZIP of a job from another machine."""
    with st.expander("Import a job", icon=":material/upload:"):
        st.file_uploader(
            "The ZIP of a job",
            type="zip",
            max_upload_size=most_upload_mb(MOST_UPLOAD_MB),
            key="run_upload",
            on_change=_import,
            disabled=bool(cannot_upload()),
            help=cannot_upload()
            or "Written by Download, or by: python -m samar export JOB --out JOB.zip. Larger "
            "files: python -m samar import FILE.zip.",
        )
        if problem := st.session_state.pop(IMPORT_PROBLEM, None):
            st.error(plain(problem), icon=":material/error:")
        if job_id := st.session_state.pop(IMPORTED, None):
            job = service().get(job_id)
            st.success(f"Imported: {plain(job.label)}", icon=":material/check:")
            page, icon = page_of(job.kind), ":material/open_in_new:"
            query = {page.names_job: job_id}
            st.page_link(page.path, label="Open it", icon=icon, query_params=query)


def report(runs: Sequence[Job]) -> str:
    """The stand-alone HTML report of one or more runs."""
    from samar.charts.html.report import report_html

    return report_html(service().store, runs)


def _import() -> None:
    from samar.exchange.importing import import_job

    if (file := st.session_state["run_upload"]) is not None:
        try:
            checked_upload(file.size)
            mark = mark_of(service().who())
            st.session_state[IMPORTED] = import_job(file, service().store, mark=mark)
        except (SamarError, OSError) as error:
            st.session_state[IMPORT_PROBLEM] = sentence_of(error)


def _csv(run: Job, part: int) -> str:
    """Every recorded step (part 0) or epoch (part 1), one line each."""
    return str(pd.DataFrame(history(run).refresh()[part]).to_csv(index=False))


def _zip(job: Job) -> bytes:
    from samar.exchange.archive import job_zip

    return job_zip(service().store, job)


def _tensorboard(run: Job) -> bytes:
    from samar.exchange.tensorboard import write_tensorboard

    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        target = write_tensorboard(service().store, run, Path(folder))
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(target.rglob("*")):
                archive.write(path, path.relative_to(folder))
    return content.getvalue()
