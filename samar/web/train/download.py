"""Fetching public data and checkpoints from within a page: a job, asked for and watched."""

import streamlit as st

from samar.data.catalog import DATASETS
from samar.data.presence import is_present
from samar.kinds.download import DownloadSettings, newest_download
from samar.web.progress import progress
from samar.web.service import act_button, service, show_problem
from samar.web.state import DOWNLOAD
from samar.web.text import plain


def offer_download(name: str) -> None:
    """Offer to download a data set that is public and not on this machine yet."""
    info = DATASETS.get(name)
    if info is None or not info.download_bytes or is_present(name):
        return
    size = f"{info.download_bytes / 1e6:.0f} MB"
    st.warning(
        f"{info.title} is not on this machine yet. Download it once ({size}, needs a network), or "
        "choose digits, which needs none.",
        icon=":material/download:",
    )
    download_button(f"Download {info.title}", DownloadSettings(source=name), key="download_data")


def download_button(label: str, settings: DownloadSettings, *, key: str) -> None:
    """Draw a button that fetches something; while that goes on, whoever asked, its progress."""
    store = service().store
    if (job := newest_download(store, settings.source, active=True)) is not None:
        st.session_state[DOWNLOAD] = job.id
        progress([job], key=f"{key}_progress")
        why_not = service().cannot_steer(job)
        stop = service().stop
        act_button("Cancel", "stop", stop, job.id, why_not=why_not, key="download_cancel")
        return
    why_not = service().cannot_start(settings)
    act_button(label, "download", _start, settings, why_not=why_not, key=key)
    show_problem()
    ended = newest_download(store, settings.source, active=False)
    if ended is not None and ended.message and ended.id == st.session_state.get(DOWNLOAD):
        st.error(plain(ended.message), icon=":material/error:")


def _start(settings: DownloadSettings) -> None:
    st.session_state[DOWNLOAD] = service().submit(settings)
