"""What the Models page found out about a file: the network, the normalization, the accuracy."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from samar.models.catalog import MODELS
from samar.web.models.source import NORMALIZE, images_of
from samar.web.text import plain

if TYPE_CHECKING:
    from samar.networks.examine import Examined
    from samar.networks.importing import Result
    from samar.networks.recognition import Fit, Recognition

# About ten seconds on one core; larger networks are measured on fewer images at first.
BUDGET_MACS = 4e11
FEWEST_IMAGES = 32
KEPT_RESULTS = 32
SHOWN_MISMATCHES = 200
GUESSING = 1.5
"""Accuracy, in shares of guessing, below which something must be wrong."""

Key = tuple[str, str, str, str, bool]


def show_recognized(examined: "Examined", fit: "Fit") -> None:
    """The network, why it is that one, and the tensors that do not fit."""
    found = examined.recognition
    with st.container(horizontal=True, vertical_alignment="center", key="models_recognized"):
        if fit.fits:
            st.badge(MODELS[fit.model].title, icon=":material/check:", color="green")
        else:
            st.badge("not recognized", icon=":material/close:", color="red")
        st.badge(f"{found.classes} classes", color="gray")
        st.badge("colour" if found.channels == 3 else f"{found.channels} channel", color="gray")
        st.badge(f"{found.parameters:,} numbers", color="gray")
    st.caption(
        f"{plain(examined.file)} · {examined.size / 1e6:.2f} MB · SHA-256 "
        f"{examined.sha256[:8]}…{' · ' + plain(fit.reason) if fit.fits else ''}"
    )
    if not fit.fits:
        _show_mismatches(fit, found)


def _show_mismatches(fit: "Fit", found: "Recognition") -> None:
    from samar.networks.shapes import for_people

    title = MODELS[fit.model].title
    if fit.reason:
        st.warning(plain(fit.reason), icon=":material/warning:")
        return
    nearest = "the nearest is " if found.nearest and found.nearest.model == fit.model else ""
    count = len(fit.mismatches)
    st.warning(
        f"The file fits no network known here; {nearest}{plain(title)}, where {count} "
        f"tensor{'s differ' if count > 1 else ' differs'}. Only networks that fit tensor by tensor "
        "can be used.",
        icon=":material/warning:",
    )
    st.container(key="models_mismatches").dataframe(
        pd.DataFrame(
            [
                {
                    "tensor": row.name,
                    "what": row.kind,
                    title: for_people(row.expected),
                    "in the file": for_people(row.found),
                }
                for row in fit.mismatches[:SHOWN_MISMATCHES]
            ]
        ),
        hide_index=True,
        alt="Tensors that do not fit, with the shapes in the network and in the file.",
    )
    if count > SHOWN_MISMATCHES:
        st.caption(f"The first {SHOWN_MISMATCHES} of {count}.")


def tried(examined: "Examined", fit: "Fit", dataset: str, normalize: str) -> "Result":
    """The network's accuracy on the images, measured once and kept for all tabs.

    Raises:
        SamarError: the images are not there, or have other classes or channels.
    """
    from samar.device import fitting_threads
    from samar.networks.examine import require_images
    from samar.networks.importing import try_on
    from samar.networks.recognition import network_of

    exact = bool(st.session_state.get(f"models_all_{examined.sha256[:8]}"))
    key = (examined.sha256, fit.model, dataset, normalize, exact)
    place = st.empty()  # also where nothing is measured, so that what follows keeps its place
    results = _results()
    if key not in results:
        found = examined.recognition
        data = images_of(dataset)
        require_images(data, classes=found.classes, channels=found.channels)
        macs = MODELS[fit.model].macs_at(data.test.size)
        place.progress(0.0, "Building the network…")

        def tell(words: str, done: int, total: int) -> None:
            place.progress(done / max(total, 1), f"{words}: {done} of {total}")

        images = None if exact else max(FEWEST_IMAGES, int(BUDGET_MACS / macs))
        with fitting_threads(macs * FEWEST_IMAGES):
            results[key] = try_on(
                network_of(examined.checkpoint, fit),
                data,
                normalize=normalize,
                images=images,
                trial_images=max(FEWEST_IMAGES, int(BUDGET_MACS / macs / len(NORMALIZE))),
                tell=tell,
            )
        place.empty()
        while len(results) > KEPT_RESULTS:
            results.pop(next(iter(results)))
    return results[key]


@st.cache_resource
def _results() -> "dict[Key, Result]":
    return {}


def show_accuracy(examined: "Examined", result: "Result") -> None:
    """The accuracy, large, with what it was measured on."""
    found = result.evaluation
    error = (found.accuracy * (1 - found.accuracy) / found.images) ** 0.5
    with st.container(key="models_accuracy"):
        st.metric("Accuracy on test images", f"{found.accuracy:.2%}")
        st.caption(
            f"{found.correct} of {found.images} images · ± {error:.2%} standard error · mean "
            f"cross-entropy {found.loss:.4f} · normalization {plain(NORMALIZE[result.normalize])}"
        )
    if found.images < result.of:
        st.checkbox(
            f"Measure on all {result.of:,} images",
            key=f"models_all_{examined.sha256[:8]}",
            help="A large network: the first look is at fewer images.",
        )
    if found.accuracy < GUESSING / examined.recognition.classes:
        st.warning(
            "This is no better than guessing: the images may be of other classes or in another "
            "order than the network was trained on, or the normalization is wrong.",
            icon=":material/warning:",
        )


def show_trials(result: "Result") -> None:
    """What was tried, the chosen one first."""
    if not result.trials:
        return
    rows = [
        {
            "normalization": f"{'✓ ' * (number == 0)}{NORMALIZE[trial.normalize]}",
            "accuracy": trial.accuracy,
            "BatchNorm D": trial.distance,
        }
        for number, trial in enumerate(result.trials)
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
            f"Tried on {result.trials[0].images} images. Where accuracies cannot be told apart, "
            "the first BatchNorm layer decides: *D* is how far its running statistics, collected "
            "in training, are from those under the normalization (0 is a perfect match)."
        )
