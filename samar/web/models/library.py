"""The models that are kept, what can be done with them, and the public ones that can be fetched."""

from typing import Any

import pandas as pd
import streamlit as st

from samar.data.catalog import DATASETS, NORMALIZATIONS, dataset_info
from samar.kinds.download import DownloadSettings
from samar.kinds.inspect import InspectSettings
from samar.models.catalog import MODELS
from samar.networks.library import ImportedModel, delete_model, imported_models, rename_model
from samar.networks.public import PUBLIC, Measured, difference, published, reasons
from samar.settings.declare import settings_of
from samar.settings.paths import FOLDER_PREFIX
from samar.web.service import cannot_manage, manage, unless
from samar.web.state import CURVATURE_PAGE, LANDSCAPE_PAGE, RUN
from samar.web.state import MODELS as PREFIX
from samar.web.text import holds, plain
from samar.web.train.download import download_button

SHOWN = 20
NORMALIZE: Any = settings_of(InspectSettings)["normalize"].choices


def links(model: ImportedModel) -> None:
    """Draw links to the pages that measure a model."""
    pages = (
        (LANDSCAPE_PAGE, "Landscape", "landscape"),
        (CURVATURE_PAGE, "Curvature", "ssid_chart"),
    )
    for page, label, icon in pages:
        query = {RUN: model.id}
        st.page_link(page, label=label, icon=f":material/{icon}:", query_params=query)


def show_models() -> None:
    """Draw a card per model, newest first; of many the newest that pass a filter."""
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
        models = [model for model in models if holds(_searched(model), words)]
        if not models:
            st.info("Nothing passes the filter.", icon=":material/filter_alt:")
    for model in models[:SHOWN]:
        with st.container(border=True, key=f"model_{model.id}"):
            _card(model, why_not)
    if len(models) > SHOWN:
        st.caption(f"The newest {SHOWN} of {len(models):,}; the filter finds the others.")


def _searched(model: ImportedModel) -> str:
    title = MODELS[model.model].title
    return f"{model.title} {title} {model.model} {model.dataset} {model.file} {model.id}"


def show_public() -> None:
    """Draw the catalogue, and a button that fetches a checkpoint of it."""
    rows = [
        {
            "name": entry.name,
            "model": MODELS[entry.model].title,
            "trained on": DATASETS[entry.dataset].title,
            "published": 100 * entry.accuracy,
            "normalization": NORMALIZATIONS[entry.normalize].title,
            "SHA-256": f"{entry.sha256}…",
            "collection": entry.collection,
            "address": entry.url,
        }
        for entry in PUBLIC.values()
    ]
    st.container(key="models_public").dataframe(
        pd.DataFrame(rows),
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
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(model.title)}**", width="content")
        st.badge(MODELS[model.model].title, color="gray")
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
        help=folder_of(model.dataset),
    )
    show_difference(model)
    with st.container(horizontal=True, vertical_alignment="center", key=f"actions_{model.id}"):
        links(model)
        with st.popover("Rename", icon=":material/edit:", **unless(why_not)):
            st.text_input("New name", model.title, max_chars=80, key=f"title_{model.id}")
            rename = (_rename, model.id)
            st.button("Save", on_click=manage, args=rename, key=f"rename_{model.id}")
        with st.popover("Delete", icon=":material/delete:", **unless(why_not)):
            st.markdown("This removes the network and its weights for good.")
            delete = (delete_model, model.id)
            st.button("Delete it", on_click=manage, args=delete, key=f"delete_{model.id}")


def folder_of(dataset: str) -> str | None:
    """The whole path of images in a folder, to be shown; None for other data sets."""
    return plain(dataset) if dataset.startswith(FOLDER_PREFIX) else None


def show_difference(measured: Measured, *, opened: bool = False) -> None:
    """Draw why the accuracy may be another than the published one, where it is."""
    if sentence := difference(measured):
        with st.expander(f"{sentence} Why?", expanded=opened):
            st.markdown("\n".join(f"- {plain(reason)}" for reason in reasons(measured)))


def _measured_on(model: ImportedModel) -> str:
    title = plain(dataset_info(model.dataset).title) if model.dataset else ""
    if model.accuracy is None:
        return f"{title or 'images'}, not on this machine when it was kept"
    few = "" if model.of in (None, model.images) else f", of {model.of:,} that there are"
    return f"{model.correct:,} of {model.images:,} test images{few} · {title}"


def _rename(model_id: str) -> None:
    """With the name as it stands when the button is pressed, which no script run has seen yet."""
    rename_model(model_id, st.session_state[f"title_{model_id}"])
