"""Facts and events from somebody else's file, as far as they can be what they claim to be."""

import math
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from samar.errors import DataError, SamarError
from samar.jobs.adopt import Foreign
from samar.jobs.records import Columns, Event
from samar.training.settings import TrainSettings

FILM = re.compile(r"film/film_(plane|line)-(\d{1,12})\.npz")
KEPT = re.compile(r"snapshots/weights-(\d{1,12})\.safetensors")
ENDED = ("finished", "stopped", "diverged", "failed", "interrupted")
IMPORTED = "imported"
RANKS = 3
LONGEST = 500


def events_from(content: Any, what: str) -> list[Event]:
    """The events of a file.

    Raises:
        DataError: one of them is not what its kind has.
    """
    wrong = DataError(f"events.json in {what} holds something that is no event.")
    if not isinstance(content, list):
        raise wrong
    events = []
    for each in content:
        if not isinstance(each, dict) or set(each) != {"step", "kind", "detail", "at"}:
            raise wrong
        event = Event(**each)
        sound = _whole(event.step) and _number(event.at) and isinstance(event.detail, dict)
        if not sound or not isinstance(event.kind, str) or not 0 < len(event.kind) <= 32:
            raise wrong
        if event.kind == "curvature" and not _is_look(event.detail):
            raise wrong
        if not _number(event.detail.get("seconds", 0)):
            raise wrong
        events.append(event)
    return events


def foreign_from(
    facts: Mapping[str, Any],
    config: bytes,
    steps: Columns,
    epochs: Columns,
    events: Sequence[Event],
    what: str,
) -> Foreign:
    """A run from the parts of a file; what is not plausible about it is left out.

    Raises:
        DataError: its settings, or a change made to them by hand, do not fit this samar.
    """
    try:
        settings = TrainSettings.stored(config.decode())
    except (SamarError, UnicodeDecodeError) as error:
        raise DataError(f"The settings in {what} do not fit this samar: {error}") from None
    live = settings
    for event in events:
        if event.kind == "change":
            try:
                live = live.changed_live(**event.detail)
            except (SamarError, TypeError) as error:
                raise DataError(f"A change recorded in {what} does not fit: {error}") from None
    status = facts.get("status")
    claimed = facts.get("id")
    given = facts.get("tags")
    tags = [tag for tag in given if isinstance(tag, str)] if isinstance(given, list) else []
    words = [word for word in " ".join(tags).split() if len(word) <= 30 and word != IMPORTED][:19]
    is_id = isinstance(claimed, str) and re.fullmatch(r"[0-9a-f]{8}", claimed)
    return Foreign(
        id=str(claimed) if is_id else secrets.token_hex(4),
        settings=settings,
        status=str(status) if status in ENDED else "stopped",
        message=str(facts.get("message") or "")[:LONGEST],
        created=_time(facts.get("created")) or 0.0,
        started=_time(facts.get("started")),
        finished=_time(facts.get("finished")),
        total=facts.get("total_steps") if _whole(facts.get("total_steps")) else None,
        device=str(facts.get("device") or "")[:255] or None,
        tags=(*dict.fromkeys(words), IMPORTED),
        steps=steps,
        epochs=epochs,
        events=events,
    )


def _is_look(detail: Mapping[str, Any]) -> bool:
    """Whether an event holds what the curvature chart draws."""
    lists = [detail.get("values"), detail.get("residuals")]
    return all(
        isinstance(each, list) and len(each) >= RANKS and all(map(_number, each)) for each in lists
    ) and all(_number(detail.get(name)) for name in ("lr", "trace"))


def _time(value: Any) -> float | None:
    """Seconds since 1970, within the years that a calendar can show."""
    return float(value) if _number(value) and 0 <= value < 32e9 else None


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
