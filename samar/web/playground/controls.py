"""The playground's controls; every one is in the URL, so a link restores what is seen."""

from typing import Any

import streamlit as st

from samar.optim.catalog import OPTIMIZERS, RULES
from samar.playground.catalog import LANDSCAPES
from samar.playground.presets import PRESETS
from samar.playground.settings import PlaygroundSettings
from samar.settings.declare import settings_of
from samar.web.controls import control, fill, segmented
from samar.web.state import PLAYGROUND, PLAYGROUND_PRESET

KNOWN = settings_of(PlaygroundSettings)
VIEWS = {"2d": "from above", "3d": "in 3-D"}


def choose_preset(settings: PlaygroundSettings) -> str | None:
    """Offer the presets, which fill every control; returns the one chosen last, if any.

    A link holds settings; the preset that they are is found again.
    """
    if PLAYGROUND_PRESET not in st.session_state:
        same = (name for name, preset in PRESETS.items() if preset.config() == settings)
        st.session_state[PLAYGROUND_PRESET] = next(same, None)
    chosen: str | None = st.selectbox(
        "Preset",
        list(PRESETS),
        format_func=lambda name: PRESETS[name].title,
        key=PLAYGROUND_PRESET,
        placeholder="Own settings",
        on_change=reset,
        help="Fills every control on the left.",
    )
    return chosen


def choose_view() -> tuple[str, str]:
    """From above or in three dimensions; and whose ball, ε and gradients are drawn."""
    view = segmented("View", f"{PLAYGROUND}view", VIEWS)
    titles = {name: info.title for name, info in OPTIMIZERS.items()}
    return view, segmented("Show the step of", f"{PLAYGROUND}focus", titles, "samar")


def choose_settings() -> PlaygroundSettings:
    """Draw the controls and return what they ask for; a link may name a preset instead.

    Raises:
        ConfigError: A value does not fit.
    """
    _read_link()
    values: dict[str, Any] = {}

    def draw(*names: str, **options: Any) -> None:
        for name in names:
            values[name] = control(name, PlaygroundSettings, PLAYGROUND, **options)

    def draw_group(*groups: str) -> None:
        chosen = PlaygroundSettings().model_copy(update=values)
        draw(*(n for n, known in KNOWN.items() if known.group in groups and chosen.applies(n)))

    draw("landscape", on_change=_start_anew)
    info = LANDSCAPES[values["landscape"]]
    values["optimizers"] = st.pills(
        "Optimizers",
        list(OPTIMIZERS),
        default=list(OPTIMIZERS),
        selection_mode="multi",
        format_func=lambda name: OPTIMIZERS[name].title,
        key=f"{PLAYGROUND}optimizers",
        bind="query-params",
        help=KNOWN["optimizers"].help,
    )
    draw("lr", "rho", "momentum", "noise")
    more = st.container(key="playground_more")
    with more.expander("Shape of the loss"):
        st.latex(info.formula)
        draw_group("shape")
    with more.expander("Start, steps and seed"):
        for name, place in zip("xy", info.start, strict=True):
            draw(name, default=place)
        draw("seed", "steps")
    with more.expander("SAMAR's λ and VaSSO's θ"):
        draw("rule")
        st.latex(RULES[values["rule"]].formula)
        draw_group("rule", "sharpness", "second")
    return PlaygroundSettings.parse(values)


def reset() -> None:
    """Put every control to what the preset says, in a callback; without one, to the defaults."""
    name = st.session_state.get(PLAYGROUND_PRESET)
    fill(PRESETS[name].config() if name else PlaygroundSettings(), PLAYGROUND)


def set_start(x: float, y: float) -> None:
    """Move the start, in a callback."""
    for name, value in (("x", x), ("y", y)):
        low, high = KNOWN[name].low or 0, KNOWN[name].high or 0
        st.session_state[f"{PLAYGROUND}{name}"] = round(min(max(value, low), high), 2)


def _start_anew() -> None:
    set_start(*LANDSCAPES[st.session_state[f"{PLAYGROUND}landscape"]].start)


def _read_link() -> None:
    """A link may name a preset, which is taken apart into its settings."""
    name = st.query_params.get(PLAYGROUND_PRESET)
    if name is None:
        return
    del st.query_params[PLAYGROUND_PRESET]
    if name in PRESETS and PLAYGROUND_PRESET not in st.session_state:
        st.session_state[PLAYGROUND_PRESET] = name
        reset()
