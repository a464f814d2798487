"""Errors that a person can mend, and text from elsewhere made safe to show.

The text of every such error is one sentence that says what is wrong, which value was given and
what to do. Faces (browser, command line) show the text as it is and never a traceback.

Names, titles, messages and tensors' names come from files that anybody may have written. What
cannot be seen in them can move a cursor, turn the order of letters round or end a line of a log.
"""

import errno
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
APP_PACKAGES = frozenset(
    {
        *("PIL", "optuna", "pandas", "pyarrow", "pyevtk", "pyhessian", "scipy", "sklearn"),
        *("streamlit", "torchvision", "tsdownsample"),
    }
)
"""What only the extra ``app`` brings, by the names under which it is imported."""


class SamarError(Exception):
    """A problem the user can mend; the message says how.

    Args:
        sentence: may quote names and texts from files; nothing hidden in them is left.
    """

    def __init__(self, sentence: object = "") -> None:
        super().__init__(shown(sentence))


class ConfigError(SamarError):
    """A setting is outside what is allowed, or two settings do not fit together."""


class DataError(SamarError):
    """Images are missing, damaged, or laid out in a way that cannot be read."""


class CheckpointError(SamarError):
    """A weights file cannot be read, or does not fit the chosen model."""


class RunError(SamarError):
    """A run does not exist or is not in a state that allows what was asked."""


class NotAllowed(RunError):
    """Whoever asks may not do this on this server."""


@contextmanager
def told_if_missing() -> Iterator[None]:
    """Say in a sentence what to install, where a package is missing that the app alone brings.

    Raises:
        ConfigError: instead of a ModuleNotFoundError about one of `APP_PACKAGES`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in APP_PACKAGES:
            raise
        raise ConfigError(not_installed(package, "app")) from None


def not_installed(package: str, extra: str) -> str:
    """That a package is missing, and which extra of samar brings it."""
    return (
        f"This needs the package {package}, which is not installed; "
        f"pip install '.[{extra}]' in a checkout of samar brings it."
    )


def of_the_disk(error: OSError) -> str:
    """What the disk did not do, as a sentence with a way out."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in NO_ROOM:
        return f"No space is left on the disk{where}; make room, then try again."
    if error.errno == errno.EROFS:
        return f"The disk can only be read{where}; choose another folder, such as with SAMAR_HOME."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Permission is denied{where}; choose another folder, or ask its owner."
    return f"The disk failed: {error.strerror or error}{where}; check it, then try again."
