"""What the Curvature page is asked: which matrix of whom, on which images, how exactly."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from samar.curvature.catalog import ENGINES, HESSIAN, LANCZOS
from samar.curvature.settings import CurvatureSettings
from samar.kinds.curvature import CurvatureJobSettings
from samar.networks.load import is_checkpoint
from samar.settings.declare import settings_of
from samar.web.controls import control, key_of, link_problem, settings_from_controls
from samar.web.measuring import linked, problem_of_jobs
from samar.web.networks import choose_file, choose_networks, choose_source, put
from samar.web.service import service

PREFIX = "curvature_"
OF, ENGINE, FILE = "curvature_of", "curvature_engine", "curvature_file"
SOURCES = {"run": "one network", "two": "two", "file": "a file"}
RUNS = {"run": ("curvature_run1",), "two": ("curvature_run1", "curvature_run2")}
EXTRAS = ("density", "trace", "layers", "sharpness", "gauss_newton")
MORE = ("split", "rho", "seed", "max_products", "trace_products", "both_ends")
OTHERS = "held_out"
OF_ONE = (OTHERS, "both_ends")
"""Besides the extras, what not every matrix or engine has."""
BOTH = "both"
SETTINGS = settings_of(CurvatureJobSettings)


@dataclass(frozen=True)
class Wanted:
    """One measurement that is asked for, with the title of its network, and engine if both are."""

    settings: CurvatureJobSettings
    title: str


def choose() -> list[Wanted]:
    """Draw the widgets and return what they ask for; nothing while a network is missing.

    Raises:
        ConfigError: a value does not fit.
    """
    source = choose_source("Measure", OF, SOURCES)
    networks = choose_file(PREFIX) if source == "file" else choose_networks(*RUNS[source])
    matrix = _control("matrix")
    first, more = st.container(), st.expander("More")
    with more:
        engine = _control("engine", options=(*ENGINES, BOTH), disabled=matrix != HESSIAN)
    both = tuple(ENGINES) if engine == BOTH else (engine,)
    engines = both if matrix == HESSIAN else (LANCZOS,)
    asked = CurvatureSettings(matrix=matrix, engine=engines[0])
    with first:
        with st.container(horizontal=True):
            _control("top")
            _control("images")
            _control(OTHERS, disabled=not asked.applies(OTHERS))
        _control("tol")
        with st.container(horizontal=True, key="curvature_extras"):
            extras = {name: _control(name, disabled=not asked.applies(name)) for name in EXTRAS}
    asked = asked.model_copy(update=extras).without_idle()
    with more:
        for name in MORE:
            _control(name, disabled=not asked.applies(name))
    wanted = []
    for network in dict.fromkeys(networks):
        for each in engines:
            fixed: dict[str, Any] = {"engine": each, **network.values}
            if each != engines[0]:  # it repeats the eigenvalues alone
                fixed |= {name: SETTINGS[name].default for name in (*EXTRAS, *OF_ONE)}
            settings = settings_from_controls(CurvatureJobSettings, PREFIX, **fixed)
            title = f"{network.title}, {each}" if len(engines) > 1 else network.title
            wanted.append(Wanted(settings, title))
    if len(wanted) < len(networks) * len(engines):
        st.caption("Both are the same network; choose another to compare.")
    return wanted


def _control(name: str, **options: Any) -> Any:
    return control(name, CurvatureJobSettings, PREFIX, **options)


def problem_of_link() -> str | None:
    """What is wrong with the first setting or job in the link that does not fit."""
    without = ("engine",) if st.query_params.get(ENGINE) == BOTH else ()
    problem = link_problem(CurvatureJobSettings, PREFIX, without=without)
    return problem or problem_of_jobs(CurvatureJobSettings.kind)


def follow_link() -> None:
    """Set the widgets to the jobs that the address names, where it says nothing else."""
    if st.query_params.get(f"{PREFIX}{OTHERS}") == "true":  # once it meant: as many
        images = SETTINGS["images"].default
        st.query_params[f"{PREFIX}{OTHERS}"] = st.query_params.get(f"{PREFIX}images", str(images))
    jobs = linked(CurvatureJobSettings.kind)
    if not jobs or any(key.startswith(PREFIX) for key in st.query_params):
        return
    settings = jobs[0].settings
    both = len({job.settings.engine for job in jobs}) > 1
    for name in CurvatureSettings.model_fields:
        known = SETTINGS[name]
        value = BOTH if both and name == "engine" else getattr(settings, name)
        put(key_of(known, PREFIX), value, known.default)
    networks = list(dict.fromkeys(job.inputs["networks"][0]["network"] for job in jobs))
    if is_checkpoint(service().store, networks[0]):
        put(OF, "file")
        put(FILE, networks[0])
        for name in ("model", "dataset", "normalize"):
            put(f"{PREFIX}{name}", getattr(settings, name))
        return
    put(OF, "two" if len(networks) > 1 else "run", "run")
    for key, network in zip(RUNS["two"], networks, strict=False):
        run, _, step = network.partition("@")
        st.query_params[key] = run
        if step:
            put(f"{key}_step_{run}", int(step))
