"""Landscapes being measured, kept by what was asked for and shared by all tabs.

One level is measured per run of the script; then the script runs again and draws it. A button
interrupts the measuring between two points, and what is measured stays.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from samar.web.landscape.controls import Picture

if TYPE_CHECKING:
    from samar.landscape.grid import Grid
    from samar.landscape.result import Landscape
    from samar.landscape.sampler import Sampler

RUNNING = "l_running"
"""Session: the commands of the pictures being measured."""

PROGRESS_SECONDS = 0.2


@dataclass
class Sheet:
    """What is measured of one picture so far."""

    grid: "Grid | None" = None
    newest: "Landscape | None" = None
    done: bool = False


@st.cache_resource(max_entries=32, show_spinner=False)
def sheet(picture: Picture) -> Sheet:
    """The sheet of a picture, empty at first."""
    return Sheet()


@st.cache_resource(max_entries=4, show_spinner="Loading network and images…")
def _survey(picture: Picture) -> "tuple[Sampler, int]":
    """What measures a picture, and the multiply-accumulates of a point.

    Few are kept, because each holds networks and images.
    """
    from samar.kinds.landscape import prepare
    from samar.models.catalog import model_info

    subject, sampler = prepare(
        picture.what, picture.config, of_file=picture.file_options, others=picture.others
    )
    kept = sheet(picture)
    sampler.grid = kept.grid = kept.grid or sampler.grid
    macs = model_info(str(subject.facts["model"])).macs_at(subject.dataset.test.size)
    return sampler, macs * picture.config.images


def newest(picture: Picture) -> "Landscape | None":
    """The finest picture there is; of equally fine ones the measured one, not the preview."""
    found = [sheet(each).newest for each in (picture, picture.preview())]
    return max(found, key=lambda each: each.points if each else 0)


def is_running(pictures: Sequence[Picture]) -> bool:
    """Whether these pictures are being measured in this session."""
    return bool(pictures) and st.session_state.get(RUNNING) == _commands(pictures)


def start(pictures: Sequence[Picture]) -> None:
    """Begin, or go on, with these pictures."""
    st.session_state[RUNNING] = _commands(pictures)


def stop() -> None:
    """Measure no further; what is measured stays."""
    st.session_state.pop(RUNNING, None)


def is_done(pictures: Sequence[Picture]) -> bool:
    """Whether nothing is left to measure."""
    return all(sheet(picture).done for picture in pictures)


def previews_of(pictures: Sequence[Picture]) -> list[Picture]:
    """Rough pictures to begin with; none where the processor has no bf16 of its own."""
    from samar.device import cpu_has_bf16

    return [picture.preview() for picture in pictures] if cpu_has_bf16() else []


def measure_next(pictures: Sequence[Picture], show: Callable[[float, str], None]) -> None:
    """Measure the coarsest level that is missing, of each picture in turn.

    Args:
        show: draws the progress, a share and a sentence.
    """
    from samar.device import fitting_threads

    unfinished = [picture for picture in pictures if not sheet(picture).done]
    picture = min(unfinished, key=lambda each: _reached(sheet(each)))
    (sampler, macs), started = _survey(picture), time.monotonic()
    before, drawn = int(sampler.grid.done.sum()), started

    def progress(done: int, total: int) -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - drawn > PROGRESS_SECONDS:
            drawn = now
            left = (total - done) * (now - started) / max(1, done - before)
            words = f"{picture.title}: {done:,} of {total:,} points · about {left:,.0f} s left"
            show(done / total, words)

    kept = sheet(picture)
    for level in sampler.grid.levels:
        if level > _reached(kept):
            with fitting_threads(macs):
                levels = sampler.levels(progress=progress)
                kept.newest = next(found for found in levels if found.points == level)
            break
    kept.done = _reached(kept) == picture.config.points


def _reached(kept: Sheet) -> int:
    return kept.newest.points if kept.newest else 0


def _commands(pictures: Sequence[Picture]) -> list[str]:
    return [picture.command for picture in pictures]
