"""Sweeps with how far they are, and the buttons that hold, resume and delete them."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from samar.sweeps.store import Sweep
from samar.web.service import attempt, sweeps
from samar.web.state import show_sweep
from samar.web.text import plain

REFRESH_SECONDS = 2.0
SHOWN = 20
STATES = {
    "running": "▶ running",
    "paused": "‖ paused",
    "stopped": "■ stopped",
    "finished": "✓ finished",
    "interrupted": "! interrupted",
    "unreadable": "? of another version",
}


def sweep_list() -> None:
    """Draw the newest sweeps; the list refreshes itself while any is active."""
    found = sweeps().all()
    if found:
        st.subheader("Sweeps so far", anchor=False)
        active = any(sweep.active for sweep in found)
        st.fragment(_list, run_every=REFRESH_SECONDS if active else None)(active)


def _list(was_active: bool) -> None:
    found = sweeps().all()
    if not found or (was_active and not any(sweep.active for sweep in found)):
        st.rerun()
    for sweep in found[:SHOWN]:
        with st.container(border=True, key=f"sweep_{sweep.id}"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.button(
                    plain(sweep.title),
                    key=f"open_{sweep.id}",
                    type="tertiary",
                    icon=":material/open_in_new:",
                    on_click=show_sweep,
                    args=(sweep.id,),
                )
                st.caption(f"{state_line(sweep)} · {sweep.id}", width="content")
            if sweep.state != "finished":
                show_progress(sweep)
    if len(found) > SHOWN:
        st.caption(
            f"{len(found) - SHOWN} older sweeps are listed by `python -m samar sweeps`; "
            "`?sweep=` in the address opens one."
        )


def state_line(sweep: Sweep) -> str:
    """Where a sweep stands, in a few words."""
    noted = ("diverged", "failed", "interrupted", "stopped")
    counted = [f"{sweep.counts[s]} {s}" for s in noted if sweep.counts.get(s)]
    return " · ".join([STATES[sweep.state], f"{sweep.ended} of {sweep.total} runs", *counted])


def show_progress(sweep: Sweep) -> None:
    """A bar of the share of runs that are over, those that train counted by their steps."""
    done = sweeps().done(sweep) if sweep.active else sweep.ended
    st.progress(min(1.0, done / sweep.total) if sweep.total else 0.0)


def sweep_buttons(sweep: Sweep) -> None:
    """Draw the buttons that fit a sweep's state; each acts before the page is drawn again."""
    with st.container(horizontal=True, key="sweep_buttons", width="content"):
        if sweep.state == "running":
            _button("Pause", "pause", sweeps().pause, sweep, help="The run that trains ends first.")
        if sweeps().can_resume(sweep):
            _button("Resume", "play_arrow", sweeps().resume, sweep, primary=True)
        if sweep.training or sweep.state in ("running", "paused"):
            _button("Stop", "stop", sweeps().stop, sweep, help="Saves what trains; can be resumed.")
        if not sweep.training:
            with st.popover("Delete", icon=":material/delete:"):
                st.markdown(f"This removes the sweep and its {sweep.members} runs for good.")
                st.button(
                    "Delete it",
                    key="sweep_really_delete",
                    on_click=attempt,
                    args=(partial(_delete, sweep.id),),
                )


def _button(
    label: str,
    icon: str,
    act: Callable[[str], None],
    sweep: Sweep,
    *,
    primary: bool = False,
    help: str | None = None,
) -> None:
    st.button(
        label,
        key=f"sweep_{label.lower()}",
        icon=f":material/{icon}:",
        type="primary" if primary else "secondary",
        help=help,
        on_click=attempt,
        args=(act, sweep.id),
    )


def _delete(sweep_id: str) -> None:
    sweeps().delete(sweep_id)
    show_sweep(None)
