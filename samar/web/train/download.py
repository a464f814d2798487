"""Fetching a public data set from within the page, with progress, when the person asks for it."""

import streamlit as st

from samar.data.catalog import DATASETS
from samar.data.presence import is_present
from samar.errors import SamarError


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
    if st.button(f"Download {info.title}", key="download_data"):
        _download(name)


def _download(name: str) -> None:
    from samar.data.load import load_dataset

    bar = st.progress(0.0, "Connecting…")

    def show(done: int, total: int) -> None:
        bar.progress(min(1.0, done / total), f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")

    try:
        load_dataset(name, download=True, progress=show)
    except SamarError as error:
        bar.empty()
        st.error(str(error), icon=":material/error:")
        return
    st.rerun()
