"""The Playground page: controls, figures, the words under them, and what can be exported."""

from collections.abc import Mapping
from contextlib import nullcontext

import streamlit as st

from samar.charts.html.playground import standalone_html
from samar.charts.playground import panels, plane, surface
from samar.optim.catalog import OPTIMIZERS, OptimizerSettings, SGDSettings
from samar.playground.catalog import LANDSCAPES
from samar.playground.paths import Outcome, Path, outcome, to_csv
from samar.playground.presets import PRESETS
from samar.playground.process import descend_with, running
from samar.playground.settings import PlaygroundSettings
from samar.settings.declare import settings_of
from samar.version import __version__
from samar.web.controls import link_problem
from samar.web.playground.controls import (
    choose_preset,
    choose_settings,
    choose_view,
    reset,
    set_start,
)
from samar.web.plotly_chart import plotly_chart
from samar.web.presenting import presenting
from samar.web.service import explained
from samar.web.state import PLAYGROUND
from samar.web.text import optimizer_titles, plain

CLOCK = "playground"
LEGEND = (
    "**Space** plays, **← →** step, **Home** goes back. Click in the plane, or drag the cross, "
    "to move the start. The dashed circle is the ball of radius ρ around the point, the thin arrow "
    "in it ε, the step uphill. The thick arrows point downhill, grey from the point and violet "
    "from x + ε, and grow with the square root of the gradient."
)


def show() -> None:
    """Draw the page."""
    problem = link_problem(PlaygroundSettings, PLAYGROUND)
    with explained(), st.sidebar, st.container(key="controls"):
        settings = choose_settings()
    if problem:
        st.warning(plain(problem), icon=":material/link_off:")
    if not presenting():
        st.header("Playground", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom", key="playground_top"):
        preset = choose_preset(settings)
        view, focus = choose_view()
        st.button("Reset", icon=":material/restart_alt:", on_click=reset, key="playground_reset")
    with st.container(key="playground_text"):
        text = LANDSCAPES[settings.landscape].help
        if preset and PRESETS[preset].config() == settings:  # what it claims is of these alone
            text = PRESETS[preset].help
        st.markdown(text)
    _figures(settings, preset, view, focus)


def _figures(settings: PlaygroundSettings, preset: str | None, view: str, focus: str) -> None:
    if not settings.optimizers:
        st.info("Choose at least one optimizer on the left.", icon=":material/arrow_back:")
        return
    first = nullcontext() if running() else st.spinner("Loading the optimizers, once…")
    with explained(), first:
        paths = compute(settings)
    draw = surface if view == "3d" else plane
    height, info = 700 if presenting() else 560, LANDSCAPES[settings.landscape]
    left, right = st.columns([5, 3])
    with left:
        plotly_chart(
            draw(settings, paths, focus),
            key=f"playground_{view}",
            height=height,
            ratio=(info.y_range[1] - info.y_range[0]) / (info.x_range[1] - info.x_range[0]),
            clock=CLOCK,
            play=preset or "own",
            on_pick=set_start if view == "2d" else None,
        )
    with right:
        plotly_chart(panels(settings, paths), key="playground_panels", height=430, clock=CLOCK)
    told = story(settings, paths)
    with st.container(key="playground_story"):
        st.markdown(" ".join(told))
    with st.container(key="notes"):
        st.caption(f"{LEGEND} {legend_of_panels(settings)}")
    _export(settings, paths, focus, " ".join(told).replace("**", ""))


def legend_of_panels(settings: PlaygroundSettings) -> str:
    """What the panels show with this λ rule, and what a step costs."""
    ceiling = "its ceiling and " if settings.applies("lam_max") else ""
    trend = "memory" in settings.rule_constants
    ratio = "the sharpness to its slow average" if trend else "successive sharpness values"
    dotted = "where the dead band ends" if "tau" in settings.rule_constants else "at 1"
    policy = settings.second_pass_name
    two = [name for name, info in OPTIMIZERS.items() if info.gradients_per_step == 2]
    between = "" if policy == "always" else ", one of SAMAR one or two"
    two = two if policy == "always" else [name for name in two if name != settings.optimizer]
    return (
        f"The panels: λ with {ceiling}the level at which SAMAR is SAM; the ratio r of {ratio}, "
        f"dotted {dotted}; the loss without noise. A step of {optimizer_titles(two)} costs two "
        f"gradients{between}, one of SGD a single one."
    )


def compute(settings: PlaygroundSettings) -> dict[str, Path]:
    """The paths, each kept as long as nothing that concerns it changes."""
    return {name: _path(name, _concerning(settings, name)) for name in settings.optimizers}


def _concerning(settings: PlaygroundSettings, name: str) -> PlaygroundSettings:
    """The settings with everything that the optimizer ignores at its default."""
    used = {*settings_of(SGDSettings), *OPTIMIZERS[name].hyperparameters}
    ignored = {"optimizers", *settings_of(OptimizerSettings)} - used
    return PlaygroundSettings.parse(
        {n: v for n, v in settings.effective.items() if n not in ignored}
    )


@st.cache_resource(
    max_entries=256,
    show_spinner=False,
    hash_funcs={PlaygroundSettings: PlaygroundSettings.model_dump_json},
)
def _path(name: str, settings: PlaygroundSettings) -> Path:
    return descend_with(settings, name)


def _export(settings: PlaygroundSettings, paths: dict[str, Path], focus: str, told: str) -> None:
    def page() -> str:
        figures = [
            (plane(settings, paths, focus), 660),
            (panels(settings, paths), 420),
            (surface(settings, paths, focus), 560),
        ]
        title = LANDSCAPES[settings.landscape].title
        return standalone_html(title, told, figures, settings.effective | {"samar": __version__})

    with st.container(horizontal=True, vertical_alignment="center", key="playground_files"):
        st.badge("computed live", icon=":material/bolt:", color="green")
        for kind, content, mime in (
            ("csv", lambda: to_csv(paths), "text/csv"),
            ("html", page, "text/html"),
        ):
            st.download_button(
                kind.upper(),
                content,
                f"playground-{settings.landscape}.{kind}",
                mime,
                key=f"playground_{kind}",
                on_click="ignore",
                icon=":material/download:",
                type="tertiary",
            )


def story(settings: PlaygroundSettings, paths: Mapping[str, Path]) -> list[str]:
    """One sentence for all optimizers that fared alike, and one on λ."""
    alike: dict[tuple[str, str], list[tuple[str, Outcome]]] = {}
    for name, path in paths.items():
        found = outcome(settings, path)
        place = "" if found.kind == "diverged" else found.valley
        alike.setdefault((found.kind, place), []).append((name, found))
    told = [_sentence(settings, group, paths) for group in alike.values()]
    if "samar" in paths and paths["samar"].steps:
        told.append(_lam(paths["samar"]))
    return told


def _sentence(
    settings: PlaygroundSettings, group: list[tuple[str, Outcome]], paths: Mapping[str, Path]
) -> str:
    who = optimizer_titles([name for name, _ in group])
    first = group[0][1]
    if first.kind == "diverged":
        steps = sorted({paths[name].steps for name, _ in group})
        after = f"{steps[0]}" if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
        word = "step" if steps == [1] else "steps"
        return f"{who} **diverged** after {after} {word}: the steps grew without bound."
    place = f"**{first.valley}**" + (" valley" if settings.landscape == "valleys" else "")
    curvature = f"curvature {first.curvature:.3g}"
    distance = sum(found.distance for _, found in group) / len(group)
    if first.kind == "reached":
        return f"{who} ended at the bottom of the {place} ({curvature})."
    one = len(group) == 1
    if first.kind == "moving":
        be = "is" if one else "are"
        return (
            f"{who} {be} in the {place} ({curvature}), {distance:.2g} from its bottom and nearing."
        )
    stay = "stays" if one else "stay"
    return f"{who} {stay} in the {place}, {distance:.2g} away from its bottom ({curvature} there)."


def _lam(path: Path) -> str:
    low, high = float(path.lam.min()), float(path.lam.max())
    if high - low < 5e-3:
        return f"SAMAR's λ stayed at {path.lam[-1]:.2g}."
    return f"SAMAR's λ moved between {low:.2f} and {high:.2f} and ended at {path.lam[-1]:.2f}."
