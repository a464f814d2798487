"""Widgets made from the fields of ``RunConfig``: bounds, defaults and help are the field's own.

Each widget's key is the field's name; bound to the URL, so that a link restores every setting.
"""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from samar.errors import SamarError
from samar.runs import RunConfig
from samar.training import Setting, applies, settings_of
from samar.ui.state import EXTRA

SETTINGS = settings_of(RunConfig)
MANTISSAS = (1, 1.5, 2, 3, 5, 7)
LINEAR_STEPS = 50


def control(
    name: str,
    *,
    in_link: bool = True,
    disabled: bool = False,
    on_change: Callable[..., None] | None = None,
    args: tuple[str, ...] = (),
) -> None:
    """Draw the widget of one field; its value is ``st.session_state[name]``.

    Args:
        in_link: whether the value is kept in the URL and taken from it.
        on_change: called with ``args`` after the person changed the value.
    """
    known = SETTINGS[name]
    common: dict[str, Any] = {
        "label": known.label[0].upper() + known.label[1:] if known.label[0] != "λ" else known.label,
        "key": name,
        "help": known.help,
        "disabled": disabled,
        "bind": "query-params" if in_link else None,
        "persist_state": "session",
        "on_change": on_change or "rerun",
        "args": args,
    }
    if known.choices is not None:
        _choice(known, common)
    elif known.kind is bool:
        st.toggle(value=known.default, **common)
    elif known.kind is str:
        st.text_input(value=known.default, max_chars=80, **common)
    elif known.log and known.high is not None:
        options = _log_grid(known)
        st.select_slider(options=options, value=known.default, format_func="{:g}".format, **common)
    elif known.kind is float and (known.high or 0) <= 20:
        low, high = float(known.low or 0), float(known.high or 1)
        step = 0.01 if high <= 2 else 0.05
        low, high = low + step * known.above_low, high - step * known.below_high
        st.slider(min_value=low, max_value=high, value=known.default, step=step, **common)
    else:
        low, high = known.kind(known.low or 0), known.kind(known.high or 0)
        st.number_input(min_value=low, max_value=high, value=known.default, **common)


def _choice(known: Setting, common: dict[str, Any]) -> None:
    choices: Mapping[str, str] = known.choices or {}
    options = list(choices)
    held = _held(known.name)
    if known.name not in st.session_state and held in choices:
        # A link may say "resnet20" as the command line does, where Streamlit looks for the title.
        st.session_state[known.name] = held
    if known.open_ended and held is not None and held not in options:
        options.append(held)
    st.selectbox(
        options=options,
        index=options.index(known.default),
        format_func=lambda value: choices.get(value, value),
        accept_new_options=known.open_ended,
        **common,
    )


def _log_grid(known: Setting) -> list[float]:
    """1-1.5-2-3-5-7 steps per decade within the bounds, with the value held now put among them."""
    high = float(known.high or 1)
    decades = range(-5, 2)
    grid = {float(f"{m}e{d}") for d in decades for m in MANTISSAS}
    grid = {value for value in grid if max(known.low or 0, high * 1e-4) <= value <= high}
    grid |= {float(known.default), high} | (
        {0.0} if known.low == 0 and not known.above_low else set()
    )
    extra = st.session_state.setdefault(f"{EXTRA}{known.name}", set())
    try:
        value = float(_held(known.name))
        if (known.low or 0) <= value <= high:
            # Remembered, because a slider whose options change is another slider to Streamlit.
            extra.add(value)
    except (TypeError, ValueError):
        pass
    return sorted(grid | extra)


def _held(name: str) -> Any:
    """The value that the widget is about to take: from the session, else from the URL."""
    return st.session_state.get(name, st.query_params.get(name))


def fill(config: RunConfig, **live: Any) -> None:
    """Set every widget to a config's values, before the widgets are drawn."""
    for name in SETTINGS:
        st.session_state[name] = live.get(name, getattr(config, name))


def config_from_controls() -> RunConfig:
    """The config that the widgets describe.

    Raises:
        ConfigError: a value, or a combination of values, does not fit.
    """
    held = {name: st.session_state[name] for name in SETTINGS if name in st.session_state}
    return RunConfig.parse(held)


def link_problem() -> str | None:
    """What is wrong with the first setting in the link that does not fit; its default is used."""
    for name, value in st.query_params.to_dict().items():
        known = SETTINGS.get(name)
        if known is None or value in (known.choices or {}).values():
            continue
        try:
            RunConfig().changed(**{name: value})
        except SamarError as error:
            return f"The link holds a setting that does not fit. {error}"
    return None


def relevant(name: str) -> bool:
    """Whether a field has an effect under the optimizer and λ rule chosen now."""
    chosen = {n: st.session_state.get(n, SETTINGS[n].default) for n in ("optimizer", "rule")}
    return applies(name, RunConfig().model_copy(update=chosen))
