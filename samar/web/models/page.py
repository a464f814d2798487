"""The Models page: a file or an upload is inspected by a job; what it found is shown and kept."""

import streamlit as st

from samar.data.catalog import DATASETS
from samar.data.presence import is_present
from samar.kinds.inspect import AUTO, InspectSettings, inspection_of
from samar.networks.inspection import Inspection
from samar.networks.library import imported_models, keep_upload
from samar.networks.load import SUFFIXES
from samar.settings.paths import FOLDER_PREFIX
from samar.web.controls import control, settings_from_controls
from samar.web.measuring.jobs import Question, buttons, find, how_to_repeat, request, watch
from samar.web.models.library import show_models, show_public
from samar.web.models.result import show_found, show_recognized
from samar.web.service import (
    cannot_type_path,
    cannot_upload,
    checked_upload,
    explained,
    most_upload_mb,
    service,
    show_problem,
    unless,
)
from samar.web.state import MODELS

MAX_UPLOAD_MB = 500


def models_page() -> None:
    """Draw the page."""
    st.header("Models", anchor=False)
    st.markdown(
        "Load a network that was trained elsewhere. It is recognized by its tensors, its "
        "normalization is found by trying, and its accuracy shows whether both are right."
    )
    load = st.container(border=True, key="models_load")
    st.subheader("Imported networks", anchor=False)
    show_models()
    st.subheader("Public checkpoints", anchor=False)
    show_public()
    with load, explained():  # drawn last, since a file that is refused ends the script
        path = _choose_file()
        known = _known_images()
        if path is None:
            control("dataset", InspectSettings, MODELS, options=[AUTO, *known])
        else:
            _show_inspection(_choose(path, known), known)


def _choose_file() -> str | None:
    """Ask for a file; None until there is one."""
    with st.grid(2, min_column_width=320):
        upload = st.file_uploader(
            "Upload a checkpoint",
            [suffix.removeprefix(".") for suffix in SUFFIXES],
            key=f"{MODELS}upload",
            max_upload_size=most_upload_mb(MAX_UPLOAD_MB),
            disabled=bool(cannot_upload()),
            help="Weights only: a file that holds code is refused and never run.",
            on_change=_forget,
        )
        path = st.text_input(
            "Or the path of one on this machine",
            key=f"{MODELS}file",
            bind="query-params",
            max_chars=500,
            placeholder="weights.pth",
            on_change=_forget,
            **unless(cannot_type_path(), f"Ending in {', '.join(SUFFIXES)}; up to 2 GB."),
        ).strip()
    if upload is not None:
        checked_upload(upload.size)
        return str(keep_upload(upload.name, upload.getbuffer()))
    return path or None


def _forget() -> None:
    """Another file is another network with another normalization."""
    for name in ("model", "normalize"):
        st.session_state.pop(f"{MODELS}{name}", None)


def _choose(path: str, images: list[str]) -> InspectSettings:
    """Ask what to measure the network on."""
    with st.grid(3, min_column_width=240):
        control("dataset", InspectSettings, MODELS, options=[AUTO, *images])
        control("model", InspectSettings, MODELS)
        control("normalize", InspectSettings, MODELS)
    every = st.toggle(
        "Measure on all test images",
        key=f"{MODELS}all",
        bind="query-params",
        persist_state="session",
        help="A large network is measured on as many as take about ten seconds otherwise.",
    )
    return settings_from_controls(InspectSettings, MODELS, file=path, quick=not every)


def _known_images() -> list[str]:
    """Data sets on this machine, and folders that runs and models here use, newest first."""
    known = [name for name in DATASETS if is_present(name)]
    used = [model.dataset for model in imported_models()]
    used += [
        run.settings.dataset for run in service().all("train") if hasattr(run.settings, "dataset")
    ]
    folders = [name for name in used if name.startswith(FOLDER_PREFIX)]
    return list(dict.fromkeys([*known, *folders]))


def _show_inspection(settings: InspectSettings, images: list[str]) -> None:
    """Have the file inspected, unless it was before, and show what is known by now."""
    question, found = _inspected(settings)
    folders = [name for name in images if name.startswith(FOLDER_PREFIX)]
    lacks_images = settings.dataset == AUTO and question.status == "failed" and found is not None
    if lacks_images and folders:
        settings = settings.changed(dataset=folders[0])
        question, found = _inspected(settings)
    if found is not None:
        show_recognized(found)
    watch([question])
    if question.job is not None and found is not None and found.accuracy is not None:
        show_found(question.job, found)
    show_problem()
    with st.container(horizontal=True):
        buttons(MODELS, [question])
    how_to_repeat([settings])


def _inspected(settings: InspectSettings) -> tuple[Question, Inspection | None]:
    """The question with the job that inspects the file, submitted if need be, and its result."""
    questions = find([settings])
    if questions[0].job is None:
        request(questions)
        questions = find([settings])
    job = questions[0].job
    return questions[0], None if job is None else inspection_of(job)
