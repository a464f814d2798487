"""What the Landscape page is asked for: networks and settings, every one of them in the address."""

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from samar.jobs.job import Job
from samar.kinds.landscape import LandscapeJobSettings
from samar.landscapes.catalog import DIRECTIONS
from samar.networks.load import is_checkpoint
from samar.networks.settings import NetworkSettings
from samar.settings.declare import settings_of
from samar.web.controls import control, key_of, segmented, settings_from_controls
from samar.web.measuring import linked
from samar.web.networks import NetworkChoice, choose_file, choose_networks, choose_source, put
from samar.web.service import service

PREFIX = "l_"
SOURCES = {"one": "one", "two": "two", "three": "three", "file": "a file"}
RUNS = {"one": ("l_run",), "two": ("l_run", "l_run2"), "three": ("l_run", "l_run2", "l_run3")}
SETTINGS = settings_of(LandscapeJobSettings)
QUANTITIES = {"loss": "loss", "accuracy": "accuracy"}


@dataclass(frozen=True)
class Wanted:
    """One landscape that is asked for.

    Attributes:
        title: of its network or networks, for people.
        optimizer: what trained the network; empty where that is not known, or there are several.
    """

    settings: LandscapeJobSettings
    title: str
    optimizer: str


def choose() -> list[Wanted]:
    """Draw the widgets and return what they ask for; nothing while a network is missing.

    Raises:
        ConfigError: a value does not fit.
    """
    source = choose_source("Networks", "l_of", SOURCES)
    networks = choose_file(PREFIX) if source == "file" else choose_networks(*RUNS[source])
    fixed = _draw(source)
    if not networks:
        return []
    if st.session_state["l_directions"] == "between":
        first, *rest = networks
        fixed["others"] = tuple(network.what for network in rest)
        networks = [replace(first, title=" to ".join(n.title for n in networks), optimizer="")]
    return [_wanted(network, fixed) for network in networks]


def _wanted(network: NetworkChoice, fixed: dict[str, Any]) -> Wanted:
    settings = settings_from_controls(LandscapeJobSettings, PREFIX, **network.values, **fixed)
    return Wanted(settings, network.title, network.optimizer)


def _draw(source: str) -> dict[str, Any]:
    """The widgets of the settings; returns the values of those that have none just now."""
    directions = _control("directions", options=_directions(source))
    fixed = dict[str, Any]()
    asked = LandscapeJobSettings(directions=directions)
    if directions == "between":
        fixed["dim"] = len(RUNS[source]) - 1
    else:
        _control("dim")
    asked = asked.changed(dim=fixed.get("dim") or st.session_state["l_dim"])
    left, right = st.columns(2)
    with left:
        _control("seed", disabled=not asked.applies("seed"))
        _control("images")
    with right:
        _control("rho")
        _control("points")
    adaptive = asked.applies("sampling") and _control("sampling") == "adaptive"
    if adaptive:
        _control("tolerance")
    _control("span")
    if source == "file":  # no run came that way
        fixed["path"] = False
    elif asked.applies("path"):
        _control("path")
    for name in ("split", "batchnorm"):
        _control(name)
    _control("precision", disabled=adaptive)
    if adaptive:
        fixed["precision"] = SETTINGS["precision"].default
    _control("preview")
    return fixed


def _control(name: str, **options: Any) -> Any:
    return control(name, LandscapeJobSettings, PREFIX, **options)


def _directions(source: str) -> list[str]:
    """The directions that so many networks allow."""
    if source == "three":
        return ["between"]
    left_out = {"one": {"between"}, "two": set[str](), "file": {"between", "pca"}}[source]
    return [name for name in DIRECTIONS if name not in left_out]


def choose_view() -> tuple[str, bool]:
    """Loss or accuracy, and whether the loss is logarithmic."""
    with st.container(horizontal=True, vertical_alignment="bottom", width="content", key="l_look"):
        quantity = segmented("Show", "l_show", QUANTITIES)
        log = st.toggle("Log scale", value=True, key="l_log", bind="query-params")
        st.toggle("Minima and saddles", key="l_marks", bind="query-params")
    return quantity, bool(log)


def follow_link() -> str | None:
    """Set the widgets to the jobs that the address names, where it says nothing else.

    Returns:
        Why there are no widgets for such a job; None where there are.
    """
    jobs = linked(LandscapeJobSettings.kind)
    for job in jobs:
        if why := _not_on_widgets(job):
            return why
    if not jobs or any(key.startswith(PREFIX) for key in st.query_params):
        return None
    settings = jobs[0].settings
    for name in SETTINGS.keys() - set(NetworkSettings.model_fields) - {"others"}:
        known = SETTINGS[name]
        put(key_of(known, PREFIX), getattr(settings, name), known.default)
    networks = [each["network"] for job in jobs for each in job.inputs["networks"]]
    if settings.directions == "pca":  # further ones are its path, not landscapes of their own
        networks = networks[:1]
    if is_checkpoint(service().store, networks[0]):
        for name in ("model", "dataset", "normalize"):
            put(f"{PREFIX}{name}", getattr(settings, name))
        put("l_of", "file")
        put("l_file", networks[0])
        return None
    keys = RUNS["three"][: len(networks)]
    put("l_of", list(RUNS)[len(keys) - 1])
    for key, network in zip(keys, networks, strict=False):
        run, _, step = network.partition("@")
        st.query_params[key] = run
        if step:
            put(f"{key}_step_{run}", int(step))
    return None


def _not_on_widgets(job: Job) -> str | None:
    settings = job.settings
    if not settings.others:
        return None
    networks = [each["network"] for each in job.inputs["networks"]]
    files = any(is_checkpoint(service().store, each) for each in networks)
    if settings.directions == "between" and not files:
        return None
    what = "goes between files" if files else "has further networks for pca"
    return (
        f"The measurement {job.label} {what}, which this page has no controls for, so another one "
        f"is shown; repeat it with {settings.command}."
    )
