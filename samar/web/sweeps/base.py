"""What all runs of a new sweep share: the settings in the sidebar that do not vary."""

import streamlit as st

from samar.optim.catalog import OPTIMIZERS
from samar.training.settings import TrainSettings
from samar.web.controls import SETTINGS, control
from samar.web.state import SWEEP_FORM
from samar.web.train.settings_panel import GROUPS

BASE_GROUPS = ("essentials", "data", "base", "sharpness", "rule", "compute")
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
    optimizers = _chosen("optimizer") or [st.session_state.get("optimizer", "samar")]
    rules = _chosen("rule") or [st.session_state.get("rule", SETTINGS["rule"].default)]
    plain_config = TrainSettings()
    return any(
        plain_config.model_copy(update={"optimizer": optimizer, "rule": rule}).applies(name)
        for optimizer in optimizers
        for rule in rules
    )


def _chosen(name: str) -> list[str]:
    if name not in st.session_state.get(key("vary"), VARIED):
        return []
    return list(st.session_state.get(key(f"in_{name}"), USUAL.get(name, ())))
