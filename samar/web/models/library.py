"""The models that are kept, what can be done with them, and the public ones that can be fetched."""

import time

import pandas as pd
import streamlit as st

from samar.data.catalog import FOLDER_PREFIX, NORMALIZATIONS
from samar.kinds.download import DownloadSettings
from samar.models.catalog import MODELS
from samar.networks.library import ImportedModel, delete_model, imported_models, rename_model
from samar.networks.public import PUBLIC, PublicCheckpoint
from samar.web.service import attempt
from samar.web.state import CURVATURE_PAGE, LANDSCAPE_PAGE
from samar.web.state import MODELS as PREFIX
from samar.web.text import plain
from samar.web.train.download import download_button

NEW_SECONDS = 60.0


def links(model: ImportedModel) -> None:
    """Where a model can be looked at."""
    st.page_link(
        LANDSCAPE_PAGE,
        label="Landscape",
        icon=":material/landscape:",
        query_params={"l_run": model.id},
    )
    st.page_link(
        CURVATURE_PAGE,
        label="Curvature",
        icon=":material/ssid_chart:",
        query_params={"curvature_run1": model.id},
    )


def show_models() -> None:
    """One card per model, newest first."""
    models = imported_models()
    if not models:
        st.caption("None yet. Upload a checkpoint above, or get a public one below.")
    for model in models:
        with st.container(border=True, key=f"model_{model.id}"):
            _card(model)


def show_public() -> None:
    """The catalogue, and a button that fetches one of it."""
    st.container(key="models_public").dataframe(
        pd.DataFrame([_public_row(entry) for entry in PUBLIC.values()]),
        hide_index=True,
        column_config={
            "published": st.column_config.NumberColumn(format="%.2f %%"),
            "address": st.column_config.LinkColumn(),
        },
        alt="Public checkpoints with network, data set, normalization and published accuracy.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = str(st.selectbox("Checkpoint", list(PUBLIC), key="models_public_name", width=280))
        images = str(st.session_state.get(f"{PREFIX}dataset", ""))
        own = images.startswith(FOLDER_PREFIX) and PUBLIC[name].dataset == "cifar10"
        wanted = DownloadSettings(source=name, dataset=images if own else None)
        download_button("Get", wanted, key="models_get")
    st.caption(
        "Fetched only when you press **Get**, and verified by checksum. Published accuracies are "
        "for the original test images."
    )


def _card(model: ImportedModel) -> None:
    new = time.time() - model.created < NEW_SECONDS
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(model.title)}**", width="content")
        st.badge(MODELS[model.model].title, color="green" if new else "gray")
        if model.accuracy is None:
            st.badge("not measured", color="gray")
        else:
            st.badge(f"{model.accuracy:.2%}", color="blue")
    known = NORMALIZATIONS.get(model.normalize)
    measured = (
        "images not on this machine when it was kept"
        if model.accuracy is None
        else f"{model.correct} of {model.images} test images"
    )
    st.caption(
        f"{measured} · {plain(_short(model.dataset))} · {model.classes} classes · normalization "
        f"{plain(known.title if known else model.normalize)} · id {model.id} · from "
        f"{plain(model.file)}, SHA-256 {model.sha256[:8]}…"
    )
    with st.container(horizontal=True, vertical_alignment="center", key=f"actions_{model.id}"):
        links(model)
        with st.popover("Rename", icon=":material/edit:"):
            st.text_input("New name", model.title, max_chars=80, key=f"title_{model.id}")
            st.button(
                "Save",
                on_click=attempt,
                args=(_rename, model.id),
                key=f"rename_{model.id}",
            )
        with st.popover("Delete", icon=":material/delete:"):
            st.markdown("This removes the model and its weights for good.")
            st.button(
                "Delete it",
                on_click=attempt,
                args=(delete_model, model.id),
                key=f"delete_{model.id}",
            )


def _short(dataset: str) -> str:
    """A folder by its last two parts, which tell more than the first."""
    if not dataset.startswith(FOLDER_PREFIX):
        return dataset
    parts = dataset.removeprefix(FOLDER_PREFIX).rstrip("/\\").replace("\\", "/").split("/")
    return f"{FOLDER_PREFIX}{'…/' if len(parts) > 3 else ''}{'/'.join(parts[-2:])}"


def _rename(model_id: str) -> None:
    """With the name as it stands when the button is pressed, which no script run has seen yet."""
    rename_model(model_id, st.session_state[f"title_{model_id}"])


def _public_row(entry: PublicCheckpoint) -> dict[str, object]:
    return {
        "name": entry.name,
        "network": MODELS[entry.model].title,
        "trained on": entry.dataset,
        "published": 100 * entry.accuracy,
        "normalization": NORMALIZATIONS[entry.normalize].title,
        "SHA-256": f"{entry.sha256}…",
        "collection": entry.collection,
        "address": entry.url,
    }
