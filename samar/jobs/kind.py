"""Kinds of jobs: what each is asked for and which function does its work.

A kind is one module that defines ``KIND``. Those of samar lie in :mod:`samar.kinds`; further ones
are named, with commas between them, in ``SAMAR_KINDS``. They are found by name when they are first
needed, so that this package knows none of them, and a kind's module imports torch within its work
function alone.
"""

import os
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from samar.errors import ConfigError, RunError
from samar.settings.job import JobSettings

if TYPE_CHECKING:
    from samar.jobs.store import Store
    from samar.jobs.work import Work

PLACE = "samar.kinds"
LONG, SHORT = "long", "short"


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    Attributes:
        name: as stored, and the ``kind`` of its settings class.
        title, help: for people.
        settings: what a job of the kind is asked for.
        work: does it, in the job's own process; None of a coordinator, and of a script's kind.
            Returns to say that the job is finished, and raises
            :class:`samar.jobs.work.Stopped` where it was told to stop.
        lane: jobs of one lane wait for each other; ``None`` for a coordinator, which has no process
            and takes no slot.
        advance: of a coordinator: called whenever jobs are tended, by whichever process does so.
        prepare: checks, when a job is submitted, what settings cannot check by themselves, and pins
            the inputs it refers to, as plain values by name. Raises :class:`SamarError`.
        members: of a kind whose own process does the work of several jobs, such as a race: those
            jobs by what they are called. They follow its status and never start by themselves.
        reused: whether a finished job with the same settings and inputs is an answer.
        resumable: whether a job that ended early goes on from what it kept; else it starts again.
        rehearse: imports and tries what a job needs, in a spare process that waits for one.
        fetches: whether its jobs use the network, which a class may not.
        trains: whether its jobs are training runs, with steps and epochs.
        observed: whether an observer may measure its jobs while they run.
        script: whether a script of somebody's own does its jobs, which nobody else can start.
    """

    name: str
    title: str
    help: str
    settings: type[JobSettings]
    work: Callable[[Any, "Work"], None] | None = None
    lane: str | None = SHORT
    advance: Callable[["Store", int], None] | None = None
    prepare: Callable[["Store", Any], Mapping[str, Any]] | None = None
    members: Callable[[Any], Mapping[str, JobSettings]] | None = None
    reused: bool = False
    resumable: bool = False
    fetches: bool = False
    rehearse: Callable[[], object] | None = None
    trains: bool = False
    observed: bool = False
    script: bool = False


def importing(*modules: str) -> Callable[[], object]:
    """A rehearsal that only imports some modules."""
    return lambda: [import_module(name) for name in modules]


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind by its name."""
    place = import_module(PLACE)
    modules = [f"{PLACE}.{module.name}" for module in pkgutil.iter_modules(place.__path__)]
    modules += [name for name in os.environ.get("SAMAR_KINDS", "").split(",") if name.strip()]
    found = [_kind_in(name.strip()) for name in modules]
    return {kind.name: kind for kind in found}


def _kind_in(module: str) -> Kind:
    try:
        kind: Kind = import_module(module).KIND
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        if module.startswith(f"{PLACE}."):
            raise
        raise ConfigError(
            f"SAMAR_KINDS names {module[:60]!r}, which brings no kind of job ({error}); name "
            "modules with a KIND, with commas between them."
        ) from None
    return kind


def kind_of(name: str) -> Kind:
    """One kind.

    Raises:
        RunError: there is none of that name.
    """
    try:
        return kinds()[name]
    except KeyError:
        raise RunError(
            f"This samar knows no kind of job called {name!r}; choose {', '.join(kinds())}."
        ) from None


def in_lane(name: str, lane: str | None) -> bool:
    """Whether a kind is of a lane, ``None`` for coordinators."""
    return kind_of(name).lane == lane


def trains(name: str) -> bool:
    """Whether jobs of a kind are training runs, with steps and epochs."""
    return kind_of(name).trains


def of_a_script(name: str) -> bool:
    """Whether a script of somebody's own does the jobs of a kind."""
    return kind_of(name).script


def training_kinds() -> tuple[str, ...]:
    """The kinds whose jobs are training runs."""
    return tuple(name for name, kind in kinds().items() if kind.trains)
