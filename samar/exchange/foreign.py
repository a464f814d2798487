"""Facts from somebody else's file, as far as they can be what they claim to be."""

import json
import math
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from samar.errors import DataError, SamarError
from samar.exchange.contents import DETAILS, Detail, Happened, Listed, Summary, fitting
from samar.exchange.plain_json import plain_json
from samar.jobs.branch import WEIGHTS
from samar.jobs.edits import values_of
from samar.jobs.job import PERSON, unnumbered
from samar.jobs.kind import kind_of
from samar.jobs.records import Artifact, Event
from samar.networks.load import SNAPSHOT
from samar.networks.settings import NetworkSettings
from samar.settings.job import JobSettings

FIRST = {
    r"film/(film_plane|film_line)-(\d{1,12})\.npz": None,
    r"snapshots/(weights)-(\d{1,12})\.safetensors": SNAPSHOT,
}
"""Kind and step of a file by its name: archives of version 0.1 list no artifacts."""
ENDED = ("finished", "stopped", "diverged", "failed", "interrupted")
IMPORTED = "imported"
MOST_EVENTS = 200_000
LONGEST = 500
SECONDS = 32e9
"""Later than this no calendar can show."""


def settings_from(kind: str, config: bytes, events: Sequence[Event], what: str) -> JobSettings:
    """The settings of a job.

    Raises:
        DataError: they, or a change made to them by hand, do not fit this samar.
    """
    try:
        plain = json.dumps(plain_json(config, "config.json"))
        settings = kind_of(kind).settings.stored(plain)
    except SamarError as error:
        raise DataError(f"The settings in {what} do not fit this samar: {error}") from None
    live = settings
    for event in events:
        if event.kind == "change":
            values = values_of(event.detail)
            if "lam" in values:  # in older versions without effect while λ was held
                values = {"lam_held": None} | values
            try:
                live = live.changed_live(**values)
            except (SamarError, TypeError) as error:
                raise DataError(f"A change recorded in {what} does not fit: {error}") from None
    return settings


def row_from(facts: Mapping[str, Any], settings: JobSettings, what: str) -> dict[str, Any]:
    """Values for a job's row; what is not plausible about it is left out.

    Raises:
        DataError: the job should refer to a network, and does not.
    """
    claimed, status, given = facts.get("id"), facts.get("status"), facts.get("tags")
    tags = [tag for tag in given if isinstance(tag, str)] if isinstance(given, list) else []
    words = [word for word in " ".join(tags).split() if len(word) <= 30 and word != IMPORTED][:19]
    is_id = isinstance(claimed, str) and re.fullmatch(r"[0-9a-f]{8}", claimed)
    inputs = facts.get("inputs")
    if isinstance(settings, NetworkSettings) and not _names_networks(inputs):
        raise DataError(f"The manifest of {what} names no network; export the job again.")
    return {
        "id": str(claimed) if is_id else secrets.token_hex(4),
        "status": str(status) if status in ENDED else "stopped",
        "message": str(facts.get("message") or "")[:LONGEST],
        "created": _time(facts.get("created")) or 0.0,
        "started": _time(facts.get("started")),
        "finished": _time(facts.get("finished")) or time.time(),
        "done": facts.get("steps") if _whole(facts.get("steps")) else 0,
        "total": facts.get("total_steps") if _whole(facts.get("total_steps")) else None,
        "device": str(facts.get("device") or "")[:255] or None,
        "tags": " ".join((*dict.fromkeys(words), IMPORTED)),
        "inputs": _own(inputs) if isinstance(inputs, dict) else {},
        "summary": _plain(facts.get("summary")),
    }


def events_from(content: Any, what: str) -> list[Event]:
    """The events of a file.

    Raises:
        DataError: one of them is not what its kind has.
    """
    wrong = f"events.json in {what} holds something that is no event"
    if not isinstance(content, list) or len(content) > MOST_EVENTS:
        raise DataError(f"{wrong}, or more than {MOST_EVENTS:,}; export the job again.")
    events = []
    for each in content:
        event = fitting(Happened, each, wrong)
        fitting(DETAILS.get(event.kind, Detail), event.detail, wrong)
        events.append(Event(**dict(event)))
    return events


def artifacts_from(manifest: Mapping[str, Any], what: str) -> list[Artifact]:
    """The files that a job kept, as its manifest lists them, or as their names tell.

    Raises:
        DataError: something in the list is no artifact.
    """
    wrong = f"The manifest of {what} lists something that is no artifact"
    listed = fitting(Listed, {"artifacts": manifest.get("artifacts")}, wrong).artifacts
    if listed is None:
        return _by_name(manifest["files"], manifest["run"].get("steps"))
    found = [Artifact(**dict(each) | {"summary": _plain(each.summary)}) for each in listed]
    if len({(artifact.kind, artifact.step) for artifact in found}) < len(found):
        raise DataError(f"{wrong}: two of one kind and step; export the job again.")
    return found


def _by_name(files: Mapping[str, Any], steps: Any) -> list[Artifact]:
    found = [
        Artifact(kind or match[1], int(match[2]), name, time.time())
        for name in files
        for rule, kind in FIRST.items()
        if (match := re.fullmatch(rule, name))
    ]
    found.sort(key=lambda each: (each.step, each.kind))
    if (weights := "weights.safetensors") in files:
        found.append(Artifact(WEIGHTS, steps if _whole(steps) else 0, weights, time.time()))
    return found


def _names_networks(inputs: Any) -> bool:
    if not isinstance(inputs, dict) or not isinstance(inputs.get("title"), str):
        return False
    named = inputs.get("networks")
    return (
        isinstance(named, list)
        and len(named) > 0
        and all(isinstance(each, dict) and {"network", "title"} <= set(each) for each in named)
        and all(_pins(name, value) for each in named for name, value in each.items())
    )


def _pins(name: str, value: Any) -> bool:
    """Whether a network can be told by it: a text, or of its channels the mean and deviation."""
    if name not in ("mean", "std"):
        return isinstance(value, str)
    return isinstance(value, list) and len(value) <= LONGEST and all(map(_number, value))


def _own(inputs: dict[str, Any]) -> Any:
    """Inputs without whose the job was elsewhere, and how long it might take there."""
    return _unnumbered({name: value for name, value in inputs.items() if name != PERSON})


def _unnumbered(inputs: Any) -> Any:
    """Titles without the numbers that their runs had in the other store."""
    if isinstance(inputs, list):
        return [_unnumbered(each) for each in inputs]
    if not isinstance(inputs, dict):
        return inputs
    return {
        name: unnumbered(value)
        if name == "title" and isinstance(value, str)
        else _unnumbered(value)
        for name, value in inputs.items()
    }


def _plain(summary: Any) -> dict[str, Any]:
    """The parts of a summary that can be shown: numbers, and lists and short words."""

    def shows(value: Any) -> bool:
        if isinstance(value, list):
            return len(value) <= LONGEST and all(map(shows, value))
        if isinstance(value, dict):
            return all(map(shows, value.values()))
        return value is None or isinstance(value, str | bool) or _number(value)

    given = summary if isinstance(summary, dict) else {}
    found = {name: value for name, value in list(given.items())[:LONGEST] if shows(value)}
    try:
        Summary.model_validate(found)
    except ValidationError as error:
        wrong = {problem["loc"][0] for problem in error.errors()}
        return {name: value for name, value in found.items() if name not in wrong}
    return found


def _time(value: Any) -> float | None:
    """Seconds since 1970, within the years that a calendar can show."""
    return float(value) if _number(value) and 0 <= value < SECONDS else None


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
