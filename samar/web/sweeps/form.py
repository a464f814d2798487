"""The form for a new sweep: what varies, what all runs share, how often each is repeated."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import streamlit as st

from samar.data.presence import is_present
from samar.errors import ConfigError, SamarError
from samar.optim.catalog import OPTIMIZERS
from samar.sweeps.presets import SWEEP_PRESETS
from samar.sweeps.spec import FIXED, MEMBER_DEFAULTS, OPTIONS, SweepSpec
from samar.sweeps.values import as_text, gradient_evaluations, parse_range, parse_values
from samar.training.settings import DECIDING, TrainSettings
from samar.web.controls import SETTINGS, control, fill, key_of, link_problem
from samar.web.service import act_button, service, show_problem
from samar.web.state import SWEEP_FORM, SWEEP_PRESET, show_sweep
from samar.web.text import plain
from samar.web.train.download import offer_download
from samar.web.train.settings_panel import GROUPS

BASE_GROUPS = ("essentials", "data", "base", "sharpness", "second", "rule", "compute")
USUAL = {
    "optimizer": tuple(OPTIMIZERS),
    "rho": (0.05, 0.1, 0.2),
    "lr": (0.02, 0.05, 0.1),
    "lam_max": (1.0, 3.0, 10.0),
    "weight_decay": (0.0001, 0.0005, 0.001),
    "theta": (0.2, 0.5, 0.9),
    "tau": (0.05, 0.1, 0.2),
    "epochs": (10, 20),
}
VARIED = ["optimizer", "rho"]
VARIABLE = [
    name for name, s in SETTINGS.items() if s.group in BASE_GROUPS[:5] and name not in FIXED
]


def key(name: str) -> str:
    """The session's key of a form widget."""
    return f"{SWEEP_FORM}{name}"


def base_panel() -> None:
    """Draw, in the sidebar, the settings that all members share."""
    st.markdown("**What all runs share**")
    for name in SETTINGS:
        if SETTINGS[name].group == "essentials" and _shared(name):
            control(name)
    with st.expander("Advanced"):
        for group in BASE_GROUPS[1:]:
            names = [n for n, s in SETTINGS.items() if s.group == group and _shared(n)]
            if names:
                st.markdown(f"**{GROUPS[group]}**")
            for name in names:
                control(name)


def _shared(name: str) -> bool:
    """Whether a setting is the same in all members and has an effect in some."""
    if name in st.session_state.get(key("vary"), VARIED) or name in ("name", "validation"):
        return False
    values = [
        _chosen(each) or [st.session_state.get(each, SETTINGS[each].default)] for each in DECIDING
    ]
    plain_config = TrainSettings()
    return any(
        plain_config.model_copy(update=dict(zip(DECIDING, each, strict=True))).applies(name)
        for each in product(*values)
    )


def _chosen(name: str) -> list[str]:
    if name not in st.session_state.get(key("vary"), VARIED):
        return []
    return list(st.session_state.get(key(f"in_{name}"), USUAL.get(name, ())))


def new_sweep() -> None:
    """Draw the form, what it amounts to, and the button that starts it."""
    preset = st.selectbox(
        "Preset",
        [None, *SWEEP_PRESETS],
        format_func=lambda name: SWEEP_PRESETS[name].title if name else "Own sweep",
        key=key("preset"),
        placeholder="Own sweep",
        on_change=_apply_preset,
        persist_state="session",
        help="Fills the form and the settings on the left.",
    )
    if preset:
        st.query_params[SWEEP_PRESET] = preset  # gone from it where another page was open
        st.caption(plain(SWEEP_PRESETS[preset].help))
    with st.grid(2, min_column_width=300):
        _option("sampler")
        varied = st.multiselect(
            "Settings to vary",
            VARIABLE,
            default=VARIED,
            format_func=lambda name: SETTINGS[name].title,
            key=key("vary"),
            bind="query-params",
            persist_state="session",
        )
    with st.grid(2, min_column_width=300):
        for name in varied:
            _values(name)
    with st.grid(4, min_column_width=150):
        _option("seeds")
        st.number_input(
            "Validation share",
            0.0,
            0.9,
            MEMBER_DEFAULTS["validation"],
            0.05,
            key=key("validation"),
            bind="query-params",
            persist_state="session",
            help="Training images held out to choose settings by; the test images are not looked "
            "at for any choice.",
        )
        if st.session_state[key("sampler")] != "grid":
            _option("trials")
        _option("name")
    with st.container(horizontal=True):
        if st.session_state[key("sampler")] != "tpe":
            _option("equal_gradients")
        _option("skip_diverged")
        _option("prune")
    _summary()


def _option(name: str) -> None:
    control(name, SweepSpec, SWEEP_FORM)


def _values(name: str) -> None:
    """The widget for the values of one varied setting."""
    known = SETTINGS[name]
    usual = USUAL.get(name, (known.default,))
    common: dict[str, Any] = {
        "label": f"Values of {known.label}",
        "key": key(f"in_{name}"),
        "bind": "query-params",
        "persist_state": "session",
    }
    if known.choices is not None:
        st.multiselect(
            options=list(known.choices),
            default=list(usual),
            format_func=lambda value: (known.choices or {}).get(value, value),
            accept_new_options=known.open_ended,
            **common,
        )
    else:
        hint = "Separate values with commas."
        if st.session_state[key("sampler")] != "grid" and known.kind in (int, float):
            hint += " Or an interval to draw from: low:high, or low:high:log."
        st.text_input(value=as_text(usual), help=hint, **common)


def _summary() -> None:
    """Say what the sweep amounts to, and offer to start it."""
    spec, problem = None, None
    try:
        spec = _spec()
        amount = _amount(spec)
    except SamarError as error:
        problem = str(error)
    if problem is not None or spec is None:
        st.warning(plain(problem or ""), icon=":material/error:")
    else:
        st.markdown(amount)
        for condition in spec.conditions:
            st.caption(plain(f"Where {condition.words()}."))
    if spec is not None:
        names = spec.grid.get("dataset") or [spec.base.get("dataset", SETTINGS["dataset"].default)]
        absent = [name for name in names if not is_present(name)]
        if absent:
            offer_download(absent[0])
    with st.container(horizontal=True, key="sweep_start"):
        act_button(
            "Start sweep",
            "play_arrow",
            _start,
            why_not=service().cannot_start(),
            disabled=spec is None,
            type="primary",
            shortcut="Ctrl+Enter",
            key="sweep_start_button",
        )
    show_problem()
    if spec is not None:
        with st.expander("How to repeat this"):
            st.code(spec.command, language="bash", wrap_lines=True)


def _amount(spec: SweepSpec) -> str:
    """How many runs and gradient evaluations a sweep will take, in a sentence."""
    if spec.sampler != "grid":
        runs = spec.trials * spec.seeds
        return f"Up to **{runs:,} runs**: {_times(spec.trials, spec.seeds)}."
    settings = spec.settings()
    text = f"**{len(settings) * spec.seeds:,} runs**: {_times(len(settings), spec.seeds)}"
    costs = [gradient_evaluations(config) for config in settings]
    if None in costs:
        return f"{text}."
    total = sum(cost or 0 for cost in costs) * spec.seeds
    low, high = min(c or 0 for c in costs), max(c or 0 for c in costs)
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{text} · about **{total:,} gradient evaluations**, {each} a run."


def _times(settings: int, seeds: int) -> str:
    return f"{settings} setting{'s' * (settings > 1)} × {seeds} seed{'s' * (seeds > 1)}"


def _spec() -> SweepSpec:
    """The sweep that the widgets describe.

    Raises:
        ConfigError: a value, or a combination of values, does not fit.
    """
    state = st.session_state
    sampler, grid, ranges = state[key("sampler")], {}, {}
    for name in state[key("vary")]:
        given = state[key(f"in_{name}")]
        if isinstance(given, str) and ":" in given and SETTINGS[name].kind in (int, float):
            ranges[name] = parse_range(name, given.strip())
        else:
            grid[name] = parse_values(given) if isinstance(given, str) else tuple(given)
        if not ranges.get(name) and not grid.get(name):
            raise ConfigError(f"{SETTINGS[name].label} has no values; give at least one.")
    base = {  # which need not fit together without what varies
        name: state[key_of(known)]
        for name, known in SETTINGS.items()
        if known.group in BASE_GROUPS
        and name not in (*state[key("vary")], "name", "validation")
        and state.get(key_of(known), known.default) != known.default
    }
    options = {n: state[key(n)] for n in OPTIONS if key(n) in state}
    options["equal_gradients"] = options.get("equal_gradients", False) and sampler != "tpe"
    preset = SWEEP_PRESETS.get(state[key("preset")] or "")
    if preset:
        base |= {n: v for n, v in preset.spec.base.items() if SETTINGS[n].group == "run"}
    return SweepSpec.parse(
        {
            **options,
            "name": (state[key("name")] or "").strip(),
            "base": base | {"validation": state[key("validation")]},
            "grid": grid,
            "ranges": ranges,
            "conditions": preset.spec.conditions if preset else (),
        }
    )


def _start() -> None:
    show_sweep(service().submit(_spec()))


def problem_of_link() -> str | None:
    """What is wrong with the first setting or preset in the link that does not fit."""
    preset = st.query_params.get(SWEEP_PRESET)
    if preset and preset not in SWEEP_PRESETS:
        return f"There is no preset {preset[:40]!r}; choose one in the list."
    some = SweepSpec(grid={"rho": (0.1, 0.2)})
    return link_problem() or link_problem(SweepSpec, SWEEP_FORM, some)


def follow_link() -> None:
    """Fill the form with the preset that the link names; what else the link holds goes before it.

    A widget that comes onto the page with a value from a preset does not write it into the link.
    Choices are in a link by their keys or by their titles.
    """
    name = st.query_params.get(SWEEP_PRESET)
    if name in SWEEP_PRESETS and name != st.session_state.get(key("preset")):
        st.session_state[key("preset")] = name
        _apply_preset()
    _read_choices("vary", {SETTINGS[n].title: n for n in VARIABLE})
    for each in VARIABLE:
        if SETTINGS[each].choices is not None:
            _read_choices(f"in_{each}", SETTINGS[each].by_title, SETTINGS[each].open_ended)


def _read_choices(name: str, by_title: Mapping[str, Any], open_ended: bool = False) -> None:
    held = [by_title.get(word, word) for word in st.query_params.get_all(key(name))]
    fits = open_ended or all(value in by_title.values() for value in held)
    if held and fits and key(name) not in st.session_state:
        st.session_state[key(name)] = held


def _apply_preset() -> None:
    state = st.session_state
    if state[key("preset")] is None:
        st.query_params.pop(SWEEP_PRESET, None)
        return
    st.query_params[SWEEP_PRESET] = state[key("preset")]
    spec = SWEEP_PRESETS[state[key("preset")]].spec
    config = spec.config({})
    fill(config.changed(**spec.base))
    fill(spec, SWEEP_FORM)
    state[key("validation")] = config.validation
    state[key("vary")] = list(spec.varied)
    for name, values in spec.grid.items():
        text = SETTINGS[name].choices is None
        state[key(f"in_{name}")] = as_text(values) if text else list(values)
