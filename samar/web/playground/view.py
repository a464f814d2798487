"""The playground's pictures, the words under them, and what can be taken away."""

import sys
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

import streamlit as st

from samar import __version__
from samar.optim.catalog import OPTIMIZERS
from samar.playground.catalog import LANDSCAPES
from samar.playground.config import PlaygroundConfig
from samar.web.playground.controls import set_start
from samar.web.playground.story import story
from samar.web.plotly_chart import plotly_chart
from samar.web.presenting import presenting

if TYPE_CHECKING:
    from samar.playground.descent import Path

CLOCK = "playground"
OF_RULE = ("rule", "constants", "lam", "lam_min", "lam_max", "beta")
LEGEND = (
    "**Space** plays, **← →** step, **Home** goes back. Click in the picture, or drag the cross, "
    "to move the start. The dashed circle is the ball of radius ρ around the point, the thin arrow "
    "in it ε, the step uphill. The thick arrows point downhill, grey from the point and violet "
    "from x + ε, and grow with the square root of the gradient."
)
PANELS = (
    "The panels: λ with its ceiling and the level at which SAMAR is SAM; the ratio r of successive "
    "sharpness values, dotted where the rule changes its mind; the loss without noise. A step of "
    "SAM, VaSSO and SAMAR costs two gradients, one of SGD a single one."
)


def show(config: PlaygroundConfig, preset: str | None, view: str, focus: str) -> None:
    """Picture, panels, story and downloads of what a config asks for."""
    if not config.optimizers:
        st.info("Choose at least one optimizer on the left.", icon=":material/arrow_back:")
        return
    if "torch" not in sys.modules:
        with st.spinner("Loading the optimizers, once…"):
            import_module("samar.playground.descent")
    from samar.charts.playground.panels import panels
    from samar.charts.playground.plane import picture, surface

    paths = compute(config)
    draw = surface if view == "3d" else picture
    height, info = 700 if presenting() else 560, LANDSCAPES[config.landscape]
    left, right = st.columns([5, 3])
    with left:
        plotly_chart(
            draw(config, paths, focus),
            key=f"playground_{view}",
            height=height,
            ratio=(info.y_range[1] - info.y_range[0]) / (info.x_range[1] - info.x_range[0]),
            clock=CLOCK,
            play=preset or "own",
            on_pick=set_start if view == "2d" else None,
        )
    with right:
        plotly_chart(panels(config, paths), key="playground_panels", height=430, clock=CLOCK)
    told = story(config, paths)
    with st.container(key="playground_story"):
        st.markdown(" ".join(told))
    with st.container(key="notes"):
        st.caption(f"{LEGEND} {PANELS}")
    _take_away(config, paths, focus, " ".join(told).replace("**", ""))


def compute(config: PlaygroundConfig) -> dict[str, "Path"]:
    """The paths, each kept as long as nothing that concerns it changes."""
    return {name: _path(name, _concerning(config, name)) for name in config.optimizers}


def _concerning(config: PlaygroundConfig, name: str) -> PlaygroundConfig:
    """The config with everything that the optimizer ignores at its default."""
    heard = set(OPTIMIZERS[name].hyperparameters)
    ignored = {"optimizers"} | ({"rho", "theta"} - heard)
    if "rule" not in heard:
        ignored |= set(OF_RULE)
    default: dict[str, Any] = {f.name: f.default for f in fields(config) if f.name in ignored}
    return config.changed(**(default | ({"constants": {}} if "constants" in ignored else {})))


@st.cache_resource(
    max_entries=256, show_spinner=False, hash_funcs={PlaygroundConfig: PlaygroundConfig.values}
)
def _path(name: str, config: PlaygroundConfig) -> "Path":
    from samar.playground.descent import descend_with

    return descend_with(config, name)


def _take_away(config: PlaygroundConfig, paths: dict[str, "Path"], focus: str, told: str) -> None:
    from samar.charts.html.playground import standalone_html
    from samar.charts.playground.panels import panels
    from samar.charts.playground.plane import picture, surface
    from samar.playground.export import to_csv

    def page() -> str:
        figures = [
            (picture(config, paths, focus), 660),
            (panels(config, paths), 420),
            (surface(config, paths, focus), 560),
        ]
        title = LANDSCAPES[config.landscape].title
        return standalone_html(title, told, figures, config.values() | {"samar": __version__})

    with st.container(horizontal=True, vertical_alignment="center", key="playground_files"):
        st.badge("computed live", icon=":material/bolt:", color="green")
        for kind, content, mime in (
            ("csv", lambda: to_csv(paths), "text/csv"),
            ("html", page, "text/html"),
        ):
            st.download_button(
                kind.upper(),
                content,
                f"playground-{config.landscape}.{kind}",
                mime,
                key=f"playground_{kind}",
                on_click="ignore",
                icon=":material/download:",
                type="tertiary",
            )
