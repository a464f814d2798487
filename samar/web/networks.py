"""Widgets that ask which networks to measure, for every page that measures some.

A page draws one of two, in its sidebar::

    source = choose_source("Networks", "l_of", {"one": "one", "two": "two", "file": "a file"})
    chosen = choose_file("l_") if source == "file" else choose_networks("l_run", "l_run2")
    for network in chosen:                                   # [] while something is missing
        settings = settings_from_controls(SomeSettings, "l_", **network.values)

The link names a run or a model by its id; that of 0.1 named it "title · id", which is read too, and
so is ``?run=ID``, with which other pages send here. :mod:`samar.web.measuring` submits the settings
as jobs, watches and cancels them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from samar.errors import RunError
from samar.networks.load import SNAPSHOT, NetworkInfo, networks
from samar.networks.settings import NetworkSettings
from samar.web.controls import control, segmented, set_widget
from samar.web.service import cannot_type_path, id_of, service
from samar.web.state import RUN, shown_run
from samar.web.text import plain

LABELS = ("Network", "Second network", "Third network")
NEWEST = "newest weights"


@dataclass(frozen=True)
class NetworkChoice:
    """A network that was chosen.

    Attributes:
        what: what settings and commands call it: an id, a run at a step, or a path.
        title: for people, to be escaped; no two that were chosen together share one.
        optimizer: what trained it; empty where that is not known.
        model, dataset, normalize: what a checkpoint belongs to.
    """

    what: str
    title: str
    optimizer: str = ""
    model: str | None = None
    dataset: str | None = None
    normalize: str = "auto"

    @property
    def values(self) -> dict[str, Any]:
        """All of :class:`NetworkSettings` but the name of the job, by name."""
        own = {name: getattr(self, name) for name in ("model", "dataset", "normalize")}
        return {"network": self.what, **own}


def choose_source(label: str, key: str, sources: Mapping[str, str]) -> str:
    """Draw the choice between networks of the app and ``file``.

    A link to a network (``?run=ID``) means that network, whatever was chosen before.
    """
    if shown_run() and st.session_state.get(key) == "file":
        st.session_state[key] = next(iter(sources))
    return segmented(label, key, sources)


def choose_networks(*keys: str) -> list[NetworkChoice]:
    """Draw one choice per key among the runs with weights and the imported models, newest first.

    A run that kept snapshots can be taken at one of them (``KEY_step_ID`` in the link).

    Returns:
        One network per key; none where there are too few.
    """
    known = {info.id: info for info in networks(service().store)}
    if linked := st.query_params.pop(RUN, None):
        st.query_params[keys[0]] = linked
    if len(known) < len(keys):
        return []
    chosen: list[NetworkChoice] = []
    for number, key in enumerate(keys):
        used = {each.what.partition("@")[0] for each in chosen}
        default = next(each for each in known if each not in used)
        info = _choose(LABELS[number], key, known, default)
        choice = _at_step(info, f"{key}_step_{info.id}")
        if any(each.title == choice.title and each.what != choice.what for each in chosen):
            choice = replace(choice, title=f"{choice.title} · {info.id}")
        chosen.append(choice)
    return chosen


def _choose(label: str, key: str, known: Mapping[str, NetworkInfo], default: str) -> NetworkInfo:
    """The link decides; a person's choice is written into it before the page is drawn."""
    linked = st.query_params.get(key, "").rpartition(" · ")[-1]
    if linked and linked not in known:
        linked = id_of(linked)
    if linked in known:
        set_widget(key, linked)
    elif linked:
        told = f"There is no network {linked[:40]!r} with saved weights; choose another."
        st.caption(plain(told))
    if st.session_state.get(key) not in known:
        st.session_state[key] = default

    def write() -> None:
        st.query_params[key] = st.session_state[key]

    st.selectbox(
        label,
        list(known),
        format_func=lambda each: known[each].label,
        key=key,
        on_change=write,
        persist_state="session",
    )
    if st.session_state[key] != st.query_params.get(key):
        write()
    return known[st.session_state[key]]


def _at_step(info: NetworkInfo, key: str) -> NetworkChoice:
    """The network as it is now, or as its run was when it kept its weights."""
    newest = NetworkChoice(info.id, info.title, info.optimizer)
    steps: list[int] = []
    if info.source == "run":
        try:
            run = service().store.get(info.id, "train")
        except RunError:  # deleted this moment
            return newest
        steps = service().store.records.steps_of(run.key, SNAPSHOT)
    asked = st.query_params.get(key, NEWEST)
    if asked not in map(str, (*steps, NEWEST)):
        st.caption(plain(f"There are no weights of step {asked[:40]}; choose another."))
    if not steps:
        return newest
    step = st.select_slider("At step", [*steps, NEWEST], NEWEST, key=key, bind="query-params")
    if step == NEWEST:
        return newest
    return NetworkChoice(f"{info.id}@{step}", f"{info.title}, step {step}", info.optimizer)


def choose_file(prefix: str) -> list[NetworkChoice]:
    """Draw what a checkpoint needs: its path, its network, its images and their normalization.

    Returns:
        The file; nothing while the path or the images are missing.
    """
    if why_not := cannot_type_path():
        st.info(why_not, icon=":material/lock:")
        return []
    path = st.text_input(
        "Checkpoint",
        key=f"{prefix}file",
        placeholder="weights.safetensors",
        max_chars=500,
        bind="query-params",
        persist_state="session",
    ).strip()
    dataset = f"{prefix}dataset"
    if dataset not in st.query_params:
        st.session_state.setdefault(dataset, "digits")
    values = {n: control(n, NetworkSettings, prefix) for n in ("model", "dataset", "normalize")}
    return [NetworkChoice(path, Path(path).name, **values)] if path and values["dataset"] else []


def put(key: str, value: Any, default: Any = None) -> None:
    """Set a widget that is not drawn yet, in the session and, unless at its default, in the link.

    A bound widget writes into the link only what changes after it was drawn.
    """
    st.session_state[key] = value
    if value not in (None, default):
        st.query_params[key] = str(value).lower() if isinstance(value, bool) else str(value)
