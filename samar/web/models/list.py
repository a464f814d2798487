"""The models that are kept, what can be done with them, and the public ones that can be fetched."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from samar.data.catalog import FOLDER_PREFIX
from samar.errors import SamarError
from samar.models.catalog import MODELS
from samar.networks.library import ImportedModel, delete_model, imported_models, rename_model
from samar.networks.public import PUBLIC, PublicCheckpoint
from samar.web.models.source import NORMALIZE
from samar.web.service import attempt, show_problem
from samar.web.state import CURVATURE_PAGE, LANDSCAPE_PAGE, MODELS_DATASET, MODELS_KEPT
from samar.web.text import plain

if TYPE_CHECKING:
    from samar.networks.examine import Examined
    from samar.networks.importing import Result
    from samar.networks.recognition import Fit


def keep_buttons(examined: "Examined", fit: "Fit", dataset: str, result: "Result") -> None:
    """Keep what was recognized and measured; once kept, go and look at it."""
    kept = next((m for m in imported_models() if _same(m, examined, fit, result, dataset)), None)
    with st.container(horizontal=True, vertical_alignment="bottom", key="models_keep_row"):
        if kept is not None:
            st.badge(f"kept as {kept.id}", icon=":material/check:", color="green")
            links(kept)
            return
        key = f"models_title_{examined.sha256[:8]}"
        st.text_input("Name", examined.file.rsplit(".", 1)[0], max_chars=80, key=key, width=280)
        st.button(
            "Keep",
            type="primary",
            icon=":material/save:",
            key="models_keep",
            help="Puts it among the models of the Landscape, Curvature and Compare pages.",
            on_click=attempt,
            args=(_keep, examined, fit, dataset, result, key),
        )
    show_problem()


def links(model: ImportedModel) -> None:
    """Where a model can be looked at."""
    label = f"{model.title} · {model.id}"
    st.page_link(
        LANDSCAPE_PAGE,
        label="Landscape",
        icon=":material/landscape:",
        query_params={"l_run": label},
    )
    st.page_link(
        CURVATURE_PAGE,
        label="Curvature",
        icon=":material/ssid_chart:",
        query_params={"curvature_run1": label},
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
        name = st.selectbox("Checkpoint", list(PUBLIC), key="models_public_name", width=280)
        pressed = st.button("Get", icon=":material/download:", key="models_get")
    st.caption(
        "Fetched only when you press **Get**, and verified by checksum. Published accuracies are "
        "for the original test images."
    )
    if pressed and name:
        _get(PUBLIC[name], str(st.session_state.get(MODELS_DATASET, "")))


def _card(model: ImportedModel) -> None:
    new = st.session_state.get(MODELS_KEPT) == model.id
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plain(model.title)}**", width="content")
        st.badge(MODELS[model.model].title, color="green" if new else "gray")
        if model.accuracy is None:
            st.badge("not measured", color="gray")
        else:
            st.badge(f"{model.accuracy:.2%}", color="blue")
    measured = (
        "images not on this machine when it was kept"
        if model.accuracy is None
        else f"{model.correct} of {model.images} test images"
    )
    st.caption(
        f"{measured} · {plain(_short(model.dataset))} · {model.classes} classes · normalization "
        f"{plain(NORMALIZE.get(model.normalize, model.normalize))} · id {model.id} · from "
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


def _keep(examined: "Examined", fit: "Fit", dataset: str, result: "Result", key: str) -> None:
    from samar.networks.importing import keep

    kept = keep(
        examined,
        fit,
        dataset=dataset,
        normalize=result.normalize,
        title=st.session_state[key],
        evaluation=result.evaluation,
    )
    st.session_state[MODELS_KEPT] = kept.id


def _same(
    model: ImportedModel, examined: "Examined", fit: "Fit", result: "Result", dataset: str
) -> bool:
    from samar.networks.examine import absolute

    return (model.sha256, model.model, model.normalize, model.dataset, model.images) == (
        examined.sha256,
        fit.model,
        result.normalize,
        absolute(dataset),
        result.evaluation.images,
    )


def _public_row(entry: PublicCheckpoint) -> dict[str, object]:
    return {
        "name": entry.name,
        "network": MODELS[entry.model].title,
        "trained on": entry.dataset,
        "published": 100 * entry.accuracy,
        "normalization": NORMALIZE[entry.normalize],
        "SHA-256": f"{entry.sha256}…",
        "collection": entry.collection,
        "address": entry.url,
    }


def _get(entry: PublicCheckpoint, images: str) -> None:
    """Fetch, keep and measure: on the person's own images where those are chosen above."""
    bar = st.progress(0.0, "Connecting…")

    def tell(words: str, done: int, total: int) -> None:
        amount = f"{done / 1e6:.1f} MB" if words == "Downloading" else f"{done} of {total}"
        bar.progress(min(1.0, done / total) if total else 0.0, f"{words}: {amount}")

    from samar.networks.importing import import_public

    own = images if images.startswith(FOLDER_PREFIX) and entry.dataset == "cifar10" else None
    try:
        kept = import_public(entry, dataset=own, tell=tell)
    except SamarError as error:
        bar.empty()
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state[MODELS_KEPT] = kept.id
    st.rerun()
