"""What an inspection found about a file: the network, the normalization, the accuracy."""

import pandas as pd
import streamlit as st

from samar.data.catalog import dataset_info
from samar.jobs.job import Job
from samar.kinds.inspect import keep_model
from samar.models.catalog import MODELS
from samar.networks.inspection import Inspection, Shape
from samar.networks.library import model_like
from samar.networks.public import DEVIATIONS
from samar.web.models.library import NORMALIZE, folder_of, links, show_difference
from samar.web.service import act_button, cannot_upload, checked_upload
from samar.web.text import plain


def show_recognized(inspection: Inspection) -> None:
    """Draw the network, why it is that one, and the tensors that do not fit."""
    fit = inspection.fit
    with st.container(horizontal=True, vertical_alignment="center", key="models_recognized"):
        if fit.fits:
            st.badge(MODELS[fit.model].title, icon=":material/check:", color="green")
        else:
            st.badge("not recognized", icon=":material/close:", color="red")
        st.badge(f"{inspection.classes} classes", color="gray")
        st.badge(
            "colour" if inspection.channels == 3 else f"{inspection.channels} channel", color="gray"
        )
        st.badge(f"{inspection.parameters:,} parameters", color="gray")
    why = f" · {plain(fit.reason)}" if fit.fits else ""
    size = f"{inspection.size / 1e6:.2f} MB · SHA-256 {inspection.sha256[:8]}…"
    st.caption(f"{plain(inspection.file)} · {size}{why}", help=f"SHA-256 {inspection.sha256}")
    if inspection.problem:
        st.warning(
            f"{plain(inspection.problem)} Only networks that fit tensor by tensor can be used.",
            icon=":material/warning:",
        )
    if fit.mismatches:
        rows = [
            {
                "tensor": row.name,
                "what": row.kind,
                MODELS[fit.model].title: _in_words(row.expected),
                "in the file": _in_words(row.found),
            }
            for row in fit.mismatches
        ]
        st.container(key="models_mismatches").dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            alt="Tensors that do not fit, with the shapes in the network and in the file.",
        )


def _in_words(shape: Shape | None) -> str:
    """A shape as 16×3×3×3; a single number is "1", no tensor is empty."""
    return "" if shape is None else "×".join(map(str, shape)) or "1"


def show_found(job: Job, inspection: Inspection) -> None:
    """Accuracy and the button that keeps the network, beside the normalizations that were tried."""
    with st.grid(2, min_column_width=320):
        with st.container():
            _show_accuracy(inspection)
            show_difference(inspection, opened=True)
            _show_keep(job, inspection)
        with st.container():
            _show_trials(inspection)


def _show_accuracy(inspection: Inspection) -> None:
    accuracy, images = inspection.accuracy, inspection.images
    assert accuracy is not None
    assert images is not None
    error = (accuracy * (1 - accuracy) / images) ** 0.5
    loss = "not finite" if inspection.loss is None else f"{inspection.loss:.4f}"
    few = "" if images == inspection.of else f", of {inspection.of:,} that there are"
    title = plain(dataset_info(inspection.dataset).title)
    with st.container(key="models_accuracy"):
        st.metric("Accuracy on test images", f"{accuracy:.2%}")
        st.caption(
            f"{inspection.correct} of {images} images{few} · {title} · ± {error:.2%} standard "
            f"error · mean cross-entropy {loss} · normalization "
            f"{plain(NORMALIZE[inspection.normalize])}",
            help=folder_of(inspection.dataset),
        )
    guessed = 1 / inspection.classes
    if accuracy <= guessed + DEVIATIONS * (guessed * (1 - guessed) / images) ** 0.5:
        st.warning(
            "This is no better than guessing: the images may be of other classes or in another "
            "order than the network was trained on, or the normalization is wrong.",
            icon=":material/warning:",
        )


def _show_keep(job: Job, inspection: Inspection) -> None:
    """Keep what was recognized and measured; once kept, go and look at it."""
    kept = model_like(inspection)
    with st.container(horizontal=True, vertical_alignment="bottom", key="models_keep_row"):
        if kept is not None and (kept.images or 0) >= (inspection.images or 0):
            st.badge(f"kept as {kept.id}", icon=":material/check:", color="green")
            links(kept)
            return
        key = f"models_title_{inspection.sha256[:8]}"
        name = kept.title if kept is not None else inspection.file.rsplit(".", 1)[0]
        st.text_input("Name", name, max_chars=80, key=key, width=280)
        why_not, help = cannot_upload(), "Puts it among the networks of the other pages."
        act_button(
            "Keep", "save", _keep, job, key,
            why_not=why_not, help=help, type="primary", key="models_keep",
        )  # fmt: skip


def _keep(job: Job, key: str) -> None:
    checked_upload(0)
    keep_model(job, st.session_state[key])


def _show_trials(inspection: Inspection) -> None:
    """What was tried, the chosen one first."""
    if not inspection.trials:
        return
    rows = [
        {
            "normalization": f"{'✓ ' * (number == 0)}{NORMALIZE[trial.normalize]}",
            "accuracy": trial.accuracy,
            "BatchNorm D": trial.distance,
        }
        for number, trial in enumerate(inspection.trials)
    ]
    with st.container(key="models_trials"):
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            column_config={
                "accuracy": st.column_config.ProgressColumn(
                    format="percent", min_value=0.0, max_value=1.0
                ),
                "BatchNorm D": st.column_config.NumberColumn(format="%.4f"),
            },
            alt="Normalizations tried, with accuracies; the chosen one first.",
        )
        st.caption(
            f"Tried on {inspection.trials[0].images} images. Where accuracies cannot be told "
            "apart, the first BatchNorm layer decides: *D* is how far its running statistics, "
            "collected in training, are from those under the normalization (0 is a perfect match)."
        )
