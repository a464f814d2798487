"""The playground's controls; every one is in the URL, so a link restores what is seen."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from samar.optim.catalog import OPTIMIZERS, RULES
from samar.playground.catalog import CONSTANTS, LANDSCAPES, SETTINGS, WHOLE, Knob
from samar.playground.config import PlaygroundConfig
from samar.playground.presets import PRESETS
from samar.web.state import PLAYGROUND, PLAYGROUND_PRESET

MANTISSAS = (1, 1.5, 2, 3, 4, 5, 6, 7, 8)
VIEWS = {"2d": "from above", "3d": "in 3-D"}


def key(name: str) -> str:
    """The key of a setting's widget, in the session and in the URL."""
    return f"{PLAYGROUND}{name}"


def choose_preset(config: PlaygroundConfig) -> str | None:
    """Offer the presets, which fill every control; returns the one chosen last, if any.

    A link holds settings; the preset that they are is found again.
    """
    if PLAYGROUND_PRESET not in st.session_state:
        same = (name for name, preset in PRESETS.items() if preset.config() == config)
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
    view = _segments("View", "view", VIEWS, "2d")
    titles = {name: info.title for name, info in OPTIMIZERS.items()}
    return view, _segments("Show the step of", "focus", titles, "samar")


def choose_config() -> PlaygroundConfig:
    """Draw the sliders and return what they ask for; a link may name a preset instead.

    Raises:
        ConfigError: A value does not fit.
    """
    _read_link()
    _from_link("landscape", LANDSCAPES)
    landscape: Any = st.selectbox(
        "Loss",
        list(LANDSCAPES),
        format_func=lambda name: LANDSCAPES[name].title,
        key=key("landscape"),
        bind="query-params",
        persist_state="session",
        on_change=_start_anew,
    )
    info = LANDSCAPES[landscape]
    names: Any = st.pills(
        "Optimizers",
        list(OPTIMIZERS),
        default=list(OPTIMIZERS),
        selection_mode="multi",
        format_func=lambda name: OPTIMIZERS[name].title,
        key=key("optimizers"),
        bind="query-params",
        help="All start at the same point and see the same noise.",
    )
    values = {name: _slider(name, SETTINGS[name]) for name in ("lr", "rho", "momentum", "noise")}
    more = st.container(key="playground_more")
    with more.expander("Shape of the loss"):
        st.latex(info.formula)
        shape = {name: _slider(name, knob) for name, knob in info.shape.items()}
    with more.expander("Start, steps and seed"):
        start = {
            name: _slider(name, SETTINGS[name], default=place)
            for name, place in zip("xy", info.start, strict=True)
        }
        seed, steps = (int(_slider(name, SETTINGS[name])) for name in ("seed", "steps"))
    with more.expander("SAMAR's λ and VaSSO's θ"):
        _from_link("rule", RULES)
        rule: Any = st.selectbox(
            "λ rule",
            list(RULES),
            format_func=lambda name: RULES[name].title,
            key=key("rule"),
            bind="query-params",
            persist_state="session",
            help="How the sharpness ratio moves λ. The ratio and its direction are the paper's; "
            "the formula is our reading.",
        )
        st.latex(RULES[rule].formula)
        constants = {name: _slider(name, CONSTANTS[name]) for name in RULES[rule].constants}
        values |= {
            name: _slider(name, SETTINGS[name]) for name in ("lam", "lam_min", "lam_max", "beta")
        }
        values["theta"] = _slider("theta", SETTINGS["theta"])
    numbers: dict[str, Any] = start | values
    return PlaygroundConfig(
        landscape=landscape,
        shape=shape,
        constants=constants,
        rule=rule,
        optimizers=tuple(name for name in OPTIMIZERS if name in names),
        seed=seed,
        steps=steps,
        **numbers,
    )


def reset() -> None:
    """Put every control to what the preset says, in a callback; without one, to the defaults."""
    name = st.session_state.get(PLAYGROUND_PRESET)
    _fill(PRESETS[name].config() if name else PlaygroundConfig())


def set_start(x: float, y: float) -> None:
    """Move the start, in a callback."""
    for name, value in (("x", x), ("y", y)):
        knob = SETTINGS[name]
        st.session_state[key(name)] = round(min(max(value, knob.low), knob.high), 2)


def _start_anew() -> None:
    set_start(*LANDSCAPES[st.session_state[key("landscape")]].start)


def _fill(config: PlaygroundConfig) -> None:
    values = config.values()
    for name, value in {**values.pop("shape"), **values.pop("constants"), **values}.items():
        st.session_state[key(name)] = list(value) if isinstance(value, tuple) else value


def _read_link() -> None:
    """A link may name a preset, which is taken apart into its settings."""
    name = st.query_params.get(PLAYGROUND_PRESET)
    if name is None:
        return
    del st.query_params[PLAYGROUND_PRESET]
    if name in PRESETS and PLAYGROUND_PRESET not in st.session_state:
        st.session_state[PLAYGROUND_PRESET] = name
        _fill(PRESETS[name].config())


def _slider(name: str, knob: Knob, default: float | None = None) -> float:
    value = knob.default if default is None else default
    common: dict[str, Any] = {
        "label": knob.label[0].upper() + knob.label[1:]
        if knob.label[0] not in "λη"
        else knob.label,
        "key": key(name),
        "help": knob.help,
        "bind": "query-params",
        "persist_state": "session",
    }
    chosen: Any
    if name == "seed":
        low, high = int(knob.low), int(knob.high)
        chosen = st.number_input(min_value=low, max_value=high, value=int(value), **common)
    elif not knob.step:
        options = _log_grid(knob)
        chosen = st.select_slider(options=options, value=value, format_func="{:g}".format, **common)
    else:
        kind = int if name in WHOLE else float
        bounds: dict[str, Any] = {"min_value": kind(knob.low), "max_value": kind(knob.high)}
        form: dict[str, Any] = {"step": kind(knob.step)} | ({} if kind is int else {"format": "%g"})
        chosen = st.slider(value=kind(value), **bounds, **form, **common)
    return float(chosen)


def _log_grid(knob: Knob) -> list[float]:
    grid = {float(f"{m}e{d}") for d in range(-4, 2) for m in MANTISSAS}
    return sorted(value for value in grid if knob.low <= value <= knob.high)


def _segments(label: str, name: str, options: Mapping[str, str], default: str) -> str:
    _from_link(name, options)
    chosen: Any = st.segmented_control(
        label,
        list(options),
        default=default,
        required=True,
        format_func=options.__getitem__,
        key=key(name),
        bind="query-params",
    )
    return str(chosen)


def _from_link(name: str, options: Mapping[str, Any]) -> None:
    """A link may name an option by its key, where Streamlit looks for its title."""
    held = st.query_params.get(key(name))
    if key(name) not in st.session_state and held in options:
        st.session_state[key(name)] = held
