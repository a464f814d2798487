"""The models that are kept, what can be done with them, and the public ones that can be fetched."""

import time
from typing import Any

import pandas as pd
import streamlit as st

from samar.data.catalog import DATASETS, NORMALIZATIONS, dataset_info
from samar.kinds.download import DownloadSettings
from samar.kinds.inspect import InspectSettings
from samar.models.catalog import MODELS
from samar.networks.library import ImportedModel, delete_model, imported_models, rename_model
from samar.networks.public import PUBLIC, Measured, PublicCheckpoint, difference, published, reasons
from samar.settings.declare import settings_of
from samar.settings.paths import FOLDER_PREFIX
from samar.web.service import cannot_manage, manage, unless
from samar.web.state import CURVATURE_PAGE, LANDSCAPE_PAGE, RUN
from samar.web.state import MODELS as PREFIX
from samar.web.text import holds, plain
from samar.web.train.download import download_button

NEW_SECONDS = 60.0
SHOWN = 20
NORMALIZE: Any = settings_of(InspectSettings)["normalize"].choices


def links(model: ImportedModel) -> None:
    """Where a model can be looked at."""
    st.page_link(
        LANDSCAPE_PAGE,
        label="Landscape",
        icon=":material/landscape:",
        query_params={RUN: model.id},
    )
    st.page_link(
        CURVATURE_PAGE,
        label="Curvature",
        icon=":material/ssid_chart:",
        query_params={RUN: model.id},
    )


def show_models() -> None:
    """One card per model, newest first; of many the newest that pass a filter."""
    models, why_not = imported_models(), cannot_manage()
    if not models:
        st.caption("None yet. Upload a checkpoint above, or get a public one below.")
    if len(models) > SHOWN:
        words = st.text_input(
            "Filter",
            key=f"{PREFIX}filter",
            max_chars=80,
            placeholder="name, network, data set, file…",
            help="Every word must occur, in any of these or in the id.",
            width=360,
        )
        models = [each for each in models if holds(_searched(each), words)]
        if not models:
            st.info("Nothing passes the filter.", icon=":material/filter_alt:")
    for model in models[:SHOWN]:
        with st.container(border=True, key=f"model_{model.id}"):
            _card(model, why_not)
    if len(models) > SHOWN:
        st.caption(f"The newest {SHOWN} of {len(models):,}; the filter finds the others.")


def _searched(model: ImportedModel) -> str:
    told = (model.title, MODELS[model.model].title, model.dataset, model.file, model.id)
    return " ".join((*told, model.model))


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


def _card(model: ImportedModel, why_not: str) -> None:
    new = time.time() - model.created < NEW_SECONDS
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(model.title)}**", width="content")
        st.badge(MODELS[model.model].title, color="green" if new else "gray")
        if model.accuracy is None:
            st.badge("not measured", color="gray")
        else:
            st.badge(f"{model.accuracy:.2%}", color="blue")
        if (entry := published(model.sha256)) is not None:
            st.badge(f"published {entry.accuracy:.2%}", color="gray")
    st.caption(
        f"{_measured_on(model)} · {model.classes} classes · normalization "
        f"{plain(NORMALIZE.get(model.normalize, model.normalize))} · id {model.id} · from "
        f"{plain(model.file)}, SHA-256 {model.sha256[:8]}…",
        help=plain(model.dataset) if model.dataset.startswith(FOLDER_PREFIX) else None,
    )
    show_difference(model)
    with st.container(horizontal=True, vertical_alignment="center", key=f"actions_{model.id}"):
        links(model)
        with st.popover("Rename", icon=":material/edit:", **unless(why_not)):
            st.text_input("New name", model.title, max_chars=80, key=f"title_{model.id}")
            st.button(
                "Save",
                on_click=manage,
                args=(_rename, model.id),
                key=f"rename_{model.id}",
            )
        with st.popover("Delete", icon=":material/delete:", **unless(why_not)):
            st.markdown("This removes the network and its weights for good.")
            st.button(
                "Delete it",
                on_click=manage,
                args=(delete_model, model.id),
                key=f"delete_{model.id}",
            )


def show_difference(measured: Measured, *, opened: bool = False) -> None:
    """Where the accuracy is another than the published one, why that may be."""
    if told := difference(measured):
        with st.expander(f"{told} Why?", expanded=opened):
            st.markdown("\n".join(f"- {plain(each)}" for each in reasons(measured)))


def _measured_on(model: ImportedModel) -> str:
    title = plain(dataset_info(model.dataset).title) if model.dataset else ""
    if model.accuracy is None:
        return f"{title or 'images'}, not on this machine when it was kept"
    few = "" if model.of in (None, model.images) else f", of {model.of:,} that there are"
    return f"{model.correct:,} of {model.images:,} test images{few} · {title}"


def _rename(model_id: str) -> None:
    """With the name as it stands when the button is pressed, which no script run has seen yet."""
    rename_model(model_id, st.session_state[f"title_{model_id}"])


def _public_row(entry: PublicCheckpoint) -> dict[str, object]:
    return {
        "name": entry.name,
        "model": MODELS[entry.model].title,
        "trained on": DATASETS[entry.dataset].title,
        "published": 100 * entry.accuracy,
        "normalization": NORMALIZATIONS[entry.normalize].title,
        "SHA-256": f"{entry.sha256}…",
        "collection": entry.collection,
        "address": entry.url,
    }
