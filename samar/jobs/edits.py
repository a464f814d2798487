"""Edits: settings that were changed while a run trained, as a part of that run.

An edit is an event of kind ``change`` whose detail holds the new values by name, who set them
(:data:`BY`), and in a race the one member that was meant (:data:`ONLY`). Settings and edits
together say what a run computed: :func:`edits_file` writes the edits of a run, and a run that is
submitted with them makes them at the same steps and ends bit for bit the same.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from samar.errors import ConfigError
from samar.jobs.records import CHANGE, ORDER, Event
from samar.settings.declare import Settings, readable

BY, ONLY, WAS = "by", "only", "was"
"""In the detail of an edit, beside the new values: who made it, for which member of a race, and of
a script's run the values before, which its settings do not tell."""
BESIDE = (BY, ONLY, WAS, ORDER)
"""What the detail of an edit holds beside the new values."""
EDITS = "edits"
"""Among a job's inputs: the edits that it is to make; in its summary: how many it has."""
FROM_FILE = "edits file"
"""Who makes an edit that was given with the job."""
MOST_EDITS = 100_000


@dataclass(frozen=True)
class Edit:
    """One change of live settings.

    Attributes:
        step: steps taken when it was made; it holds from the next step on.
        at: when, in seconds since 1970.
        values: the new values by setting.
        before: the values that they replaced.
        by: who made it: browser, command line, script, edits file.
        only: of a race, the one member that was meant.
    """

    step: int
    at: float
    values: Mapping[str, Any]
    before: Mapping[str, Any]
    by: str = ""
    only: str = ""


class PlannedEdit(BaseModel):
    """One entry of a file of edits; what else such a file says is for people."""

    model_config = ConfigDict(frozen=True, strict=True)

    step: int = Field(ge=0, lt=2**53)
    values: dict[str, Any] = Field(min_length=1)
    only: str = ""


def values_of(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The new values in the detail of an edit."""
    return {name: value for name, value in detail.items() if name not in BESIDE}


def edits_of(settings: Settings, events: Iterable[Event]) -> list[Edit]:
    """The edits among the events of a job, in order.

    Args:
        settings: those with which the job began.
    """
    found, now = [], settings
    for event in events:
        if event.kind != CHANGE:
            continue
        values = values_of(event.detail)
        before = {name: getattr(now, name, None) for name in values}
        if isinstance(was := event.detail.get(WAS), Mapping):
            before |= was
        by, only = (str(event.detail.get(word, "")) for word in (BY, ONLY))
        found.append(Edit(event.step, event.at, values, before, by, only))
        if not only:
            now = now.model_copy(update=_moved(now, values))
    return found


def _moved(now: Settings, values: Mapping[str, Any]) -> dict[str, Any]:
    """What an edit changes, all that follows from it included."""
    try:
        after = now.changed_live(**values)
    except ConfigError:  # made by another version
        return dict(values)
    return {name: getattr(after, name) for name in type(now).model_fields}


def count_edits(summary: Mapping[str, Any], events: Iterable[Event]) -> dict[str, Any]:
    """The summary of a job that says how often it was edited, if it was."""
    count = sum(event.kind == CHANGE for event in events)
    return {n: v for n, v in summary.items() if n != EDITS} | ({EDITS: count} if count else {})


def edited(settings: Any, events: Iterable[Event]) -> Any:
    """Settings as they are now, every edit made."""
    for event in events:
        if event.kind == CHANGE and ONLY not in event.detail:
            settings = settings.model_copy(update=_moved(settings, values_of(event.detail)))
    return settings


def edits_file(edits: Sequence[Edit]) -> str:
    """Edits as a JSON text that :func:`read_edits` reads."""
    return json.dumps([asdict(edit) for edit in edits], indent=1)


def read_edits(text: str, what: str) -> list[PlannedEdit]:
    """Edits from the JSON text of a file.

    Raises:
        ConfigError: one sentence about what does not fit.
    """
    try:
        plan = TypeAdapter(list[PlannedEdit]).validate_python(json.loads(text))
    except ValidationError as error:
        raise ConfigError(f"{what} is no file of edits: {readable(error)}") from None
    except (ValueError, RecursionError):
        raise ConfigError(
            f"{what} is no file of edits; 'python -m samar export RUN --out FILE.json' writes one."
        ) from None
    if len(plan) > MOST_EDITS:
        raise ConfigError(f"{what} holds {len(plan):,} edits; use at most {MOST_EDITS:,}.")
    return sorted(plan, key=lambda edit: edit.step)


def planned(inputs: Mapping[str, Any]) -> list[PlannedEdit]:
    """The edits that a job was given.

    Raises:
        ConfigError: its inputs hold something else.
    """
    try:
        return TypeAdapter(list[PlannedEdit]).validate_python(inputs.get(EDITS, []))
    except ValidationError as error:
        raise ConfigError(f"The edits that it was given do not fit: {readable(error)}") from None


def still_planned(plan: Iterable[PlannedEdit], events: Iterable[Event]) -> list[PlannedEdit]:
    """The edits of a plan that a job has not made."""
    own = (e for e in events if e.kind == CHANGE and e.detail.get(BY) == FROM_FILE)
    made, left = Counter(e.step for e in own), list[PlannedEdit]()
    for edit in plan:
        if made[edit.step]:
            made[edit.step] -= 1
        else:
            left.append(edit)
    return left


def member_plan(plan: Iterable[PlannedEdit], settings: Settings, member: str) -> list[PlannedEdit]:
    """What a race's plan is for one of its members: an edit is for those that have the setting.

    Args:
        settings: with which the member began.
        member: what the race calls it.
    """
    now, own = settings, list[PlannedEdit]()
    for edit in plan:
        if edit.only not in ("", member):
            continue
        values = {n: v for n, v in edit.values.items() if edit.only or now.applies(n)}
        if values:
            own.append(PlannedEdit(step=edit.step, values=values))
            now = now.model_copy(update=_moved(now, values))
    return own


def check_edits(settings: Settings, plan: Sequence[PlannedEdit], members: Sequence[str]) -> None:
    """Make sure that each edit is possible after those before it.

    Args:
        members: of a race, what its members are called.

    Raises:
        ConfigError: one is not.
    """
    now = settings
    for edit in plan:
        if edit.only and edit.only not in members:
            known = f"; choose among {', '.join(members)}" if members else ""
            raise ConfigError(f"The edit at step {edit.step} is for {edit.only!r}{known}.")
        try:
            after = now.changed_live(**edit.values)
        except ConfigError as error:
            raise ConfigError(f"The edit at step {edit.step} does not fit: {error}") from None
        now = now if edit.only else after
