"""Widgets made from the fields of a settings class: bounds, defaults and help are the field's own.

Each widget's key is a prefix and the field's name; it is bound to the URL, so that a link restores
every setting. A link may hold a choice by its key, as the command line does, or by its title.
"""

import math
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeVar

import streamlit as st
from streamlit.errors import StreamlitAPIException

from samar.charts.html.render import render
from samar.errors import SamarError
from samar.settings.declare import Setting, Settings, settings_of
from samar.training.settings import DECIDING, TrainSettings
from samar.web.state import EXTRA
from samar.web.text import plain

SETTINGS = settings_of(TrainSettings)
USUAL = " Usual, and marked in green: {:g} to {:g}."
MANTISSAS = (1, 1.5, 2, 3, 5, 7)
PLAIN_GROUP = "settings"
UNASKED = ("network", "run")
"""Groups of settings that :func:`draw_settings` leaves to others."""
S = TypeVar("S", bound=Settings)


def control(
    name: str,
    model: type[Settings] = TrainSettings,
    prefix: str = "",
    *,
    in_link: bool = True,
    disabled: bool = False,
    options: Iterable[Any] | None = None,
    default: Any = None,
    on_change: Callable[..., None] | None = None,
    args: tuple[str, ...] = (),
) -> Any:
    """Draw the widget of one field; its value is ``st.session_state[prefix + word]``.

    Args:
        model: the settings class.
        prefix: before the widget's key, where several forms share the session.
        in_link: whether the value is kept in the URL and taken from it.
        options: of a choice, only these.
        default: instead of the field's own.
        on_change: called with ``args`` after the person changed the value.

    Returns:
        The value.
    """
    known = settings_of(model)[name]
    if default is not None:
        known = replace(known, default=default)
    common: dict[str, Any] = {
        "label": known.title,
        "key": key_of(known, prefix),
        "help": known.help + (USUAL.format(*known.usual) if known.usual else ""),
        "disabled": disabled,
        "bind": "query-params" if in_link else None,
        "persist_state": "session",
        "on_change": on_change or "rerun",
        "args": args,
    }
    if known.choices is not None:
        return _choice(known, common, options)
    if known.kind is bool:
        return st.toggle(value=known.default, **common)
    if known.kind is str:
        return st.text_input(value=known.default or "", max_chars=500, **common)
    number: Any = known.kind  # int or float
    step = _step(known)
    open_ended = known.above_low or known.below_high
    if (known.log and known.high is not None) or (step and open_ended and not known.optional):
        grid = _with_held(set(grid_of(known) or ()), known, common)
        choices = [None, *grid] if known.optional else grid
        if known.usual is not None:
            _mark_usual(common["key"], grid, known.usual)
        return st.select_slider(
            options=choices,
            value=known.default,
            format_func=lambda v: "auto" if v is None else f"{v:g}",
            **common,
        )
    if step and not known.optional:
        return st.slider(
            min_value=number(known.low or 0),
            max_value=number(known.high),
            value=known.default,
            step=number(step),
            format="%g" if known.step else None,
            **common,
        )
    if number is int and in_link and _endless_in_link(common["key"]):
        common["bind"] = None
    return st.number_input(
        min_value=number(known.low or 0),
        max_value=None if known.high is None else number(known.high),
        value=known.default,
        step=None if number is int else 0.01,
        format=None if number is int else "%.6g",
        **common,
    )


def draw_settings(
    model: type[Settings],
    prefix: str,
    options: Mapping[str, Iterable[Any]] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Draw the widgets of all settings that have an effect under the others, in their order.

    A group of settings with a name of its own stands in an expander.

    Args:
        options: of choices, by name, only these.
        fixed: values of settings that get no widget.

    Returns:
        The values by name; a setting without effect is left out.
    """
    values = dict(fixed or {})
    groups: dict[str, list[Setting]] = {}
    for known in settings_of(model).values():
        if known.group not in UNASKED and known.name not in values:
            groups.setdefault(known.group, []).append(known)
    for group, members in groups.items():
        with st.container() if group == PLAIN_GROUP else st.expander(group.capitalize()):
            for kind, row in groupby(members, lambda known: known.choices is None and known.kind):
                paired = kind is int and group == PLAIN_GROUP  # elsewhere labels are long
                cells = st.columns(2) if paired else [st.container(horizontal=kind is bool)]
                for number, known in enumerate(row):
                    if model.model_construct(**values).applies(known.name):
                        only = (options or {}).get(known.name)
                        with cells[number % len(cells)]:
                            values[known.name] = control(known.name, model, prefix, options=only)
    return values


def _endless_in_link(key: str) -> bool:
    """Whether the link held an infinite number, taken out of it: Streamlit ends there in an error.

    It reads any number as a float and makes a whole number of it.
    """
    for text in st.query_params.get_all(key):
        with suppress(ValueError):
            if math.isinf(float(text)):
                with suppress(StreamlitAPIException):  # bound: it goes when it no longer is
                    del st.query_params[key]
                return True
    return False


def _mark_usual(key: str, grid: list[float], usual: tuple[float, float]) -> None:
    """Underline the usual part of a slider's grid."""
    inside = [place for place, value in enumerate(grid) if usual[0] <= value <= usual[1]]
    share = 100 / max(len(grid) - 1, 1)
    low, high = (share * inside[0], share * inside[-1]) if inside else (0.0, 0.0)
    st.html(render("usual.html.j2", key=key, low=round(low, 2), width=round(high - low, 2)))


def segmented(
    label: str,
    key: str,
    options: Mapping[str, str],
    default: str | None = None,
) -> str:
    """Draw a choice of few, the first unless told otherwise; a link holds its key or title."""
    held = st.query_params.get(key, "")
    if key not in st.session_state and held in options:
        st.session_state[key] = held
    elif key not in st.session_state and held and held not in options.values():
        st.caption(plain(f"{label}: there is no choice {held[:40]!r}; choose another."))
    default = default or next(iter(options))
    chosen: Any = st.segmented_control(
        label,
        list(options),
        default=default,
        required=True,
        format_func=options.__getitem__,
        key=key,
        bind="query-params",
        persist_state="session",
    )
    return str(default if chosen is None else chosen)  # an empty word in the link chooses none


def key_of(known: Setting, prefix: str = "") -> str:
    """The session's and the link's key of a setting."""
    return prefix + (known.word or known.name)


def _choice(known: Setting, common: dict[str, Any], only: Iterable[Any] | None) -> Any:
    choices: Mapping[Any, str] = known.choices or {}
    options = list(choices if only is None else only)
    if known.optional:
        options = [None, *options]
    key = common["key"]
    held = _held(key)
    # A link may hold a choice as the command line does, or by the title that Streamlit writes.
    words = {str(o): o for o in options}
    words |= {title: o for title, o in known.by_title.items() if o in options}
    if key not in st.session_state and held in words:
        held = st.session_state[key] = words[held]
    if known.open_ended and held not in (None, *options):
        options.append(held)
    elif key in st.session_state and st.session_state[key] not in options:
        del st.session_state[key]  # a choice that is not offered here
    return st.selectbox(
        options=options,
        index=options.index(known.default) if known.default in options else 0,
        format_func=lambda value: "—" if value is None else choices.get(value, value),
        accept_new_options=known.open_ended,
        **common,
    )


def grid_of(known: Setting) -> list[float] | None:
    """The values that a slider of a number offers; None where it is typed."""
    if known.log and known.high is not None:
        return sorted(_log_grid(known))
    step = _step(known)
    return sorted(_grid(known, step)) if step else None


def _step(known: Setting) -> float:
    """From one value of a slider to the next; 0 where a number has no such slider."""
    if known.high is None or not (known.step or (known.kind is float and known.high <= 20)):
        return 0.0
    return known.step or (0.01 if known.high <= 2 else 0.05)


def _log_grid(known: Setting) -> set[float]:
    """1-1.5-2-3-5-7 steps per decade within the bounds."""
    high = float(known.high or 1)
    decades = range(-5, 2)
    grid = {float(f"{m}e{d}") for d in decades for m in MANTISSAS}
    grid = {value for value in grid if max(known.low or 0, high * 1e-4) <= value <= high}
    grid |= {high} if known.default is None else {float(known.default), high}
    if known.below_high:
        grid.discard(high)
    return grid | ({0.0} if known.low == 0 and not known.above_low else set())


def _grid(known: Setting, step: float) -> set[float]:
    """Steps between the bounds, of which one cannot be taken itself."""
    low, high = float(known.low or 0), float(known.high or 1)
    inside = {round(low + place * step, 9) for place in range(round((high - low) / step) + 1)}
    return inside - ({low} if known.above_low else set()) - ({high} if known.below_high else set())


def _with_held(grid: set[float], known: Setting, common: Mapping[str, Any]) -> list[float]:
    """A grid with the value that is held now put among its values."""
    key = common["key"]
    extra = st.session_state.setdefault(f"{EXTRA}{key}", set())
    held = _held(key)
    try:
        value = float(held)
    except (TypeError, ValueError):
        return sorted(grid | extra)
    low, high = float(known.low or 0), float(known.high or 1)
    outside = (value == low and known.above_low) or (value == high and known.below_high)
    if low <= value <= high and not outside:
        # Remembered, because a slider whose options change is another slider to Streamlit.
        extra.add(value)
        if isinstance(held, str):
            st.session_state[key] = value
    return sorted(grid | extra)


def _held(key: str) -> Any:
    """The value that the widget is about to take: from the session, else from the URL."""
    return st.session_state.get(key, st.query_params.get(key))


def set_widget(key: str, value: Any) -> None:
    """Have a widget show a value, before it is drawn.

    Only where it shows another: to set it again would undo a press that is on its way here.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def put(key: str, value: Any, default: Any = None) -> None:
    """Set a widget that is not drawn yet, in the session and, unless at its default, in the link.

    A bound widget writes into the link only what changes after it was drawn.
    """
    st.session_state[key] = value
    if value not in (None, default):
        st.query_params[key] = str(value).lower() if isinstance(value, bool) else str(value)


def fill(settings: Settings, prefix: str = "", **live: Any) -> None:
    """Set every widget to the values of settings, before the widgets are drawn."""
    for name, known in settings_of(type(settings)).items():
        value = live.get(name, getattr(settings, name))
        st.session_state[key_of(known, prefix)] = list(value) if known.kind is tuple else value


def settings_from_controls(
    model: type[S] = TrainSettings,  # type: ignore[assignment]
    prefix: str = "",
    /,
    **fixed: Any,
) -> S:
    """The settings that the widgets describe.

    Args:
        fixed: values that no widget holds.

    Raises:
        ConfigError: a value, or a combination of values, does not fit.
    """
    held = {
        name: st.session_state[key_of(known, prefix)]
        for name, known in settings_of(model).items()
        if key_of(known, prefix) in st.session_state
    }
    return model.parse(held | fixed)


def link_problem(
    model: type[Settings] = TrainSettings,
    prefix: str = "",
    start: Settings | None = None,
    without: Container[str] = (),
) -> str | None:
    """What is wrong with the first setting in the link that does not fit; its default is used.

    Args:
        start: what the link's settings change; the defaults if None.
        without: names of settings that hold more on the page than the class allows.
    """
    known = {key_of(each, prefix): each for each in settings_of(model).values()}
    values = {}
    for key, value in st.query_params.to_dict().items():
        each = known.get(key)
        if each is not None and each.kind is not tuple and each.name not in without:
            values[each.name] = each.by_title.get(value, value)
    try:
        (start or model()).changed(**values)  # together, because one may fit with another only
    except SamarError as error:
        return f"The link holds a setting that does not fit. {error}"
    return None


def relevant(name: str) -> bool:
    """Whether a field has an effect under the optimizer, λ rule and second gradient chosen now."""
    chosen = {n: st.session_state.get(n, SETTINGS[n].default) for n in DECIDING}
    return TrainSettings().model_copy(update=chosen).applies(name)
