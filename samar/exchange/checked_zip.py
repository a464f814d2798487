"""Opening a zip from somebody else: names, counts and sizes are checked before it is unpacked."""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from samar.errors import DataError

MOST_MEMBERS = 50_000
MOST_BYTES = 8 << 30
MOST_RATIO = 200
SMALL = 1 << 20
"""A member up to this size may shrink by any factor: text of zeros does."""
CHUNK = 1 << 20
SYMLINK = 0o120000


@contextmanager
def opened_zip(
    source: Path | BinaryIO, allowed: Sequence[str], what: str, most: int | None = None
) -> Iterator[zipfile.ZipFile]:
    """A zip that holds nothing but expected members of reasonable size.

    Args:
        source: a file, or its content.
        allowed: patterns of whole member names.
        what: how messages call the file.
        most: bytes that it may unpack to; :data:`MOST_BYTES` if None.

    Raises:
        DataError: it is damaged, is something else, holds an unexpected name (such as one that
            leads out of its folder), or would unpack to more than the limits; also when it turns
            out damaged within the block.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            _check(archive.infolist(), allowed, what, MOST_BYTES if most is None else most)
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{what} is damaged or no zip file ({error}); export or copy it again."
        ) from None
    except OSError as error:
        raise DataError(f"{what} cannot be read ({error.strerror or error}).") from None


def copy_member(archive: zipfile.ZipFile, name: str, target: Path) -> str:
    """Copy one member into a file and return its SHA-256."""
    digest = hashlib.sha256()
    with archive.open(name) as member, target.open("wb") as file:
        while piece := member.read(CHUNK):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _check(members: list[zipfile.ZipInfo], allowed: Sequence[str], what: str, most: int) -> None:
    if len(members) > MOST_MEMBERS:
        raise DataError(f"{what} holds {len(members):,} files; at most {MOST_MEMBERS:,} are read.")
    if len({member.filename for member in members}) < len(members):
        raise DataError(f"{what} holds two files of one name and is refused.")
    for member in members:
        expected = any(re.fullmatch(rule, member.filename) for rule in allowed)
        if not expected or member.external_attr >> 16 & 0o170000 == SYMLINK:
            name = member.filename[:80]
            raise DataError(f"{what} holds {name!r}, which does not belong there, and is refused.")
        if member.file_size > max(SMALL, MOST_RATIO * member.compress_size):
            raise DataError(
                f"{member.filename} in {what} would unpack to more than {MOST_RATIO} times its "
                "size, as zip bombs do; the file is refused."
            )
    if (total := sum(member.file_size for member in members)) > most:
        raise DataError(f"{what} would unpack to {total / 1e9:,.1f} GB and is refused.")
