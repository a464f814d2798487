"""Paths as people write them: ``~`` for a home folder, and whether a result can be written there.

A command that writes a result asks here first, so that no work is done for a file that cannot be.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from samar.errors import ConfigError

ABSENT = (errno.ENOENT, errno.ENOTDIR)
FOLDER_PREFIX = "folder:"
"""Before the path of a folder of images, where a data set is named."""


def expanded(path: str | Path) -> Path:
    """The whole path, with ``~`` as a home folder.

    Raises:
        ConfigError: it begins with the home folder of an unknown user.
    """
    try:
        return Path(path).expanduser().absolute()
    except (RuntimeError, OSError):
        raise ConfigError(
            f"The path {str(path)!r} begins in a folder that is not known here; write it from / on."
        ) from None


def is_file(path: Path) -> bool:
    """Whether it is a file that can be seen; not so for a path that is too long or barred."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether it is a folder that can be seen; not so for a path that is too long or barred."""
    try:
        return path.is_dir()
    except OSError:
        return False


def out_file(path: str | Path, suffixes: Sequence[str], otherwise: str = "") -> Path:
    """A file that can be written, as :func:`expanded` gives it; ``--out`` names it.

    Args:
        suffixes: endings that it may have.
        otherwise: what else it may be, for the sentence.

    Raises:
        ConfigError: it has another ending, its folder is missing, or it cannot be written.
    """
    if Path(path).suffix not in suffixes:
        *most, last = suffixes
        known = f"{', '.join(most)} or {last}" if most else last
        raise ConfigError(f"--out is {_shown(path)}, but it must end in {known}{otherwise}.")
    whole = expanded(path)
    if _there(whole) and not is_file(whole):
        raise ConfigError(f"--out is {_shown(path)}, which is no file; choose another name.")
    if not is_folder(whole.parent):
        raise ConfigError(f"There is no folder {whole.parent}; make it, or choose another --out.")
    for needed in (whole.parent, *([whole] if whole.exists() else [])):
        _require_access(needed)
    return whole


def out_folder(path: str | Path) -> Path:
    """A folder that can be written, or made, as :func:`expanded` gives it; ``--out`` names it.

    Raises:
        ConfigError: it is empty, or a file, or cannot be written.
    """
    if not str(path).strip():
        raise ConfigError("--out names no folder; give its path.")
    nearest = whole = expanded(path)
    while not _there(nearest):
        nearest = nearest.parent
    if not is_folder(nearest):
        raise ConfigError(f"{nearest} is a file, not a folder; choose another --out.")
    _require_access(nearest)
    return whole


def _there(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        if error.errno in ABSENT:
            return False
        raise ConfigError(
            f"--out is {_shown(path)}, which cannot be written ({error.strerror}); choose another."
        ) from None
    return True


def _require_access(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise ConfigError(f"{path} cannot be written; choose another --out.")


def _shown(path: str | Path) -> str:
    text = repr(str(path))
    return text if len(text) <= 200 else text[:200] + "…"


def told_apart(*files: str) -> list[str]:
    """The names of two files, with as many of their folders as it takes to tell them apart."""
    one, two = (Path(file).parts for file in files)
    most = max(len(one), len(two))
    enough = next((n for n in range(1, most + 1) if one[-n:] != two[-n:]), 1)
    return [str(Path(*parts[-enough:])) for parts in (one, two)]
