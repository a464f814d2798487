"""Widgets that ask which networks to measure: runs and imported models, or checkpoints' paths.

The link names a run or a model by its id, number or name. Other pages send here with ``?run=ID``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from samar.errors import RunError
from samar.networks.load import SNAPSHOT, NetworkInfo, networks
from samar.networks.settings import NetworkSettings
from samar.settings.paths import told_apart
from samar.web.controls import control, segmented, set_widget
from samar.web.service import cannot_type_path, id_of, service
from samar.web.state import RUN, shown_run
from samar.web.text import plain

ORDINALS = ("", "Second ", "Third ")
NEWEST = "newest weights"


@dataclass(frozen=True)
class Source:
    """A choice of how many networks there are, and where they come from.

    Attributes:
        title: for people.
        keys: of the widgets, one for each network.
        files: whether a path is typed for each.
    """

    title: str
    keys: tuple[str, ...]
    files: bool = False


@dataclass(frozen=True)
class NetworkChoice:
    """A network that was chosen.

    Attributes:
        what: its name in settings and commands: an id, a run at a step, or a path.
        title: for people, to be escaped; no two that were chosen together share one.
        optimizer: the one that trained it; empty where that is not known.
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
        belongs = {name: getattr(self, name) for name in ("model", "dataset", "normalize")}
        return {"network": self.what, **belongs}


def choose_networks(prefix: str, sources: Mapping[str, Source]) -> tuple[str, list[NetworkChoice]]:
    """Draw the choice of a source and of its networks.

    Returns:
        The source, and its networks; none where one is missing.
    """
    key = f"{prefix}of"
    if shown_run() and (held := sources.get(st.session_state.get(key, ""))) and held.files:
        st.session_state[key] = next(iter(sources))  # a link to a network means that network
    name = segmented("Networks", key, {name: source.title for name, source in sources.items()})
    source = sources[name]
    return name, (_choose_files(prefix, source.keys) if source.files else _choose_runs(source.keys))


def _choose_runs(keys: Sequence[str]) -> list[NetworkChoice]:
    """Draw one choice per key among the runs with weights and the imported models, newest first.

    A run that kept snapshots can be taken at one of them (``KEY_step_ID`` in the link).
    """
    offered = {info.id: info for info in networks(service().store)}
    if linked := st.query_params.pop(RUN, None):
        st.query_params[keys[0]] = linked
    if len(offered) < len(keys):
        return []
    chosen: list[NetworkChoice] = []
    for ordinal, key in zip(ORDINALS, keys, strict=False):
        used = {choice.what.partition("@")[0] for choice in chosen}
        default = next(network for network in offered if network not in used)
        info = _choose_run(f"{ordinal}network".capitalize(), key, offered, default)
        choice = _at_step(info, f"{key}_step_{info.id}")
        if any(c.title == choice.title and c.what != choice.what for c in chosen):
            choice = replace(choice, title=f"{choice.title} · {info.id}")
        chosen.append(choice)
    return chosen


def _choose_run(
    label: str, key: str, offered: Mapping[str, NetworkInfo], default: str
) -> NetworkInfo:
    """The link decides; a person's choice is written into it before the page is drawn."""
    linked = st.query_params.get(key, "")
    if linked and linked not in offered:
        linked = id_of(linked)
    if linked in offered:
        set_widget(key, linked)
    elif linked:
        missing = f"There is no network {linked[:40]!r} with saved weights; choose another."
        st.caption(plain(missing))
    if st.session_state.get(key) not in offered:
        st.session_state[key] = default

    def write() -> None:
        st.query_params[key] = st.session_state[key]

    st.selectbox(
        label,
        list(offered),
        format_func=lambda network: offered[network].label,
        key=key,
        on_change=write,
        persist_state="session",
    )
    if st.session_state[key] != st.query_params.get(key):
        write()
    return offered[st.session_state[key]]


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


def _choose_files(prefix: str, keys: Sequence[str]) -> list[NetworkChoice]:
    """Draw what checkpoints need: paths, their network, its images and their normalization."""
    if why_not := cannot_type_path():
        st.info(why_not, icon=":material/lock:")
        return []
    paths = [
        st.text_input(
            f"{ordinal}checkpoint".capitalize(),
            key=key,
            placeholder="weights.safetensors",
            max_chars=500,
            bind="query-params",
            persist_state="session",
        ).strip()
        for ordinal, key in zip(ORDINALS, keys, strict=False)
    ]
    dataset = f"{prefix}dataset"
    if dataset not in st.query_params:
        st.session_state.setdefault(dataset, "digits")
    values = {n: control(n, NetworkSettings, prefix) for n in ("model", "dataset", "normalize")}
    if not all(paths) or not values["dataset"]:
        return []
    titles = told_apart(*paths) if len(paths) == 2 else [path.rpartition("/")[2] for path in paths]
    return [NetworkChoice(path, title, **values) for path, title in zip(paths, titles, strict=True)]
