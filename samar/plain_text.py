"""Text from elsewhere, made safe to show: on a terminal, on a page, in a file name and in a log.

Names, titles, messages and tensors' names come from files that anybody may have written. What
cannot be seen in them can move a cursor, turn the order of letters round or end a line of a log.
"""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_CHARACTERS = 2000
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Categories of Unicode without a glyph: control and format characters, halves of a surrogate pair,
private use, separators of lines and paragraphs."""
JOINERS = "\u200c\u200d"
"""Format characters that stay: Persian, Hindi and many emoji are written with them."""
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def shown(text: object, most: int = MOST_CHARACTERS) -> str:
    """Text on one line without hidden characters, shortened with "…".

    Control characters and line breaks become a space; what else is hidden is left out.

    Example:
        >>> shown("two\\nlines,\\x1b[31mred\\u202e", 16)
        'two lines, [31m…'
    """
    line = str(text)
    if not line.isprintable():
        line = _BREAKS.sub(" ", line)
        line = "".join(c for c in line if c in JOINERS or unicodedata.category(c) not in HIDDEN)
    return line if len(line) <= most else line[: most - 1] + "…"


def shown_values(values: Any, most: int = MOST_CHARACTERS) -> Any:
    """Plain values, as JSON holds them, with every text of them as :func:`shown` gives it."""
    if isinstance(values, str):
        return shown(values, most)
    if isinstance(values, Mapping):
        return {shown(name, most): shown_values(each, most) for name, each in values.items()}
    if isinstance(values, list | tuple):
        return [shown_values(each, most) for each in values]
    return values


def told_apart(*files: str) -> list[str]:
    """The names of two files, with as many of their folders as it takes to tell them apart."""
    one, two = (Path(file).parts for file in files)
    most = max(len(one), len(two))
    enough = next((n for n in range(1, most + 1) if one[-n:] != two[-n:]), 1)
    return [str(Path(*parts[-enough:])) for parts in (one, two)]
