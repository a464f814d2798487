"""What the Connectivity page is asked for: two networks and settings, all in the address."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from samar.connectivity.settings import ConnectivitySettings
from samar.kinds.connectivity import ConnectivityJobSettings
from samar.networks.load import is_checkpoint
from samar.settings.declare import settings_of
from samar.settings.paths import told_apart
from samar.web.controls import control, key_of, segmented, settings_from_controls
from samar.web.measuring import linked
from samar.web.networks import choose_file, choose_networks, put
from samar.web.service import service

PREFIX = "c_"
OF, OTHER_FILE = "c_of", "c_file2"
SOURCES = {"runs": "two networks", "files": "two files"}
RUNS = ("c_run", "c_run2")
SETTINGS = settings_of(ConnectivityJobSettings)
TRAINING = ("steps", "lr", "batch_size", "augment", "plane")


@dataclass(frozen=True)
class Wanted:
    """What is asked for, with the titles of the two networks, for people."""

    settings: ConnectivityJobSettings
    first: str
    second: str


def choose() -> Wanted | None:
    """Draw the widgets and return what they ask for; None while a network is missing.

    Raises:
        ConfigError: a value does not fit.
    """
    if segmented("Join", OF, SOURCES) == "files":
        networks = choose_file(PREFIX)
        other = st.text_input(
            "Second checkpoint",
            key=OTHER_FILE,
            placeholder="other.safetensors",
            max_chars=500,
            bind="query-params",
            persist_state="session",
        ).strip()
        first, second = told_apart(networks[0].what, other) if networks else ("", "")
    else:
        networks = choose_networks(*RUNS)
        other = networks[1].what if networks else ""
        first, second = (each.title for each in networks) if networks else ("", "")
    _draw()
    if not networks or not other:
        return None
    settings = settings_from_controls(
        ConnectivityJobSettings, PREFIX, **networks[0].values, other=other
    )
    return Wanted(settings, first, second)


def _draw() -> None:
    """The widgets of the settings; those of the bend are off where there is none."""
    curve, align = _control("curve"), _control("align")
    asked = ConnectivityJobSettings(curve=curve, align=align)
    left, right = st.columns(2)
    with left:
        _control("images")
        _control("points")
    with right:
        _control("split")
        _control("seed", disabled=not asked.applies("seed"))
    with st.expander("The bend and its plane"):
        for name in TRAINING:
            _control(name, disabled=not asked.applies(name))


def _control(name: str, **options: Any) -> Any:
    return control(name, ConnectivityJobSettings, PREFIX, **options)


def follow_link() -> None:
    """Set the widgets to the job that the address names, where it says nothing else."""
    jobs = linked(ConnectivityJobSettings.kind)
    if not jobs or any(key.startswith(PREFIX) for key in st.query_params):
        return
    settings = jobs[0].settings
    for name in ConnectivitySettings.model_fields:
        known = SETTINGS[name]
        put(key_of(known, PREFIX), getattr(settings, name), known.default)
    networks = [each["network"] for each in jobs[0].inputs["networks"]]
    files = any(is_checkpoint(service().store, each) for each in networks)
    if files or settings.dataset is not None:  # those fields take what is in the store too
        for name in ("model", "dataset", "normalize"):
            put(f"{PREFIX}{name}", getattr(settings, name))
        put(OF, "files")
        put(f"{PREFIX}file", networks[0])
        put(OTHER_FILE, networks[1])
        return
    put(OF, "runs", "runs")
    for key, network in zip(RUNS, networks, strict=True):
        run, _, step = network.partition("@")
        st.query_params[key] = run
        if step:
            put(f"{key}_step_{run}", int(step))
