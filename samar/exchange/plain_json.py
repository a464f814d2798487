"""JSON from somebody else: bounded before it is read, and its texts safe to show."""

import json
from typing import Any

from samar.errors import DataError
from samar.plain_text import shown

MOST_VALUES = 1_000_000
DEEPEST = 30
MOST_DIGITS = 20


def plain_json(content: bytes, what: str, *, exact: bool = False) -> Any:
    """The values in JSON; NaN and infinity, which JSON lacks, are None.

    Args:
        content: of a file whose size is checked already.
        what: how messages call it.
        exact: refuse hidden characters and endless texts, which are otherwise left out.

    Raises:
        DataError: it is no JSON, holds too much, is nested too deeply, or has a number that no
            record has.
    """
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise DataError(f"{what} holds more than {MOST_VALUES:,} values and is refused.")
    try:
        values = json.loads(
            content, parse_int=_whole, parse_float=_number, parse_constant=lambda _: None
        )
    except _NumberError as error:
        raise DataError(f"{what} holds the number {error}, which no job has recorded.") from None
    except (ValueError, RecursionError):
        raise DataError(f"{what} is no JSON; export the job again.") from None
    return _plain(values, what, exact, 0)


class _NumberError(Exception):
    pass


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise _NumberError(shown(digits, MOST_DIGITS))
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise _NumberError(shown(digits, MOST_DIGITS))
    return value


def _plain(value: Any, what: str, exact: bool, depth: int) -> Any:
    if depth > DEEPEST:
        raise DataError(f"{what} is nested more than {DEEPEST} levels deep and is refused.")
    if isinstance(value, str):
        if exact and shown(value) != value:
            raise DataError(f"{what} holds hidden characters or an endless text, and is refused.")
        return shown(value)
    if isinstance(value, dict):
        return {
            _plain(name, what, exact, depth): _plain(each, what, exact, depth + 1)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_plain(each, what, exact, depth + 1) for each in value]
    return value
