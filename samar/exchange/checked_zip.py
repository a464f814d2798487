"""Opening a zip from somebody else: everything is checked before anything is unpacked."""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

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
    source: Path | BinaryIO, allowed: Mapping[str, int], what: str, most: int | None = None
) -> Iterator[zipfile.ZipFile]:
    """A zip that holds nothing but expected members of reasonable size.

    Args:
        source: a file, or its content.
        allowed: most bytes by pattern of the whole member name.
        what: how messages call the file.
        most: bytes that it may unpack to; :data:`MOST_BYTES` if None.

    Raises:
        DataError: it is damaged, is something else, holds an unexpected name (such as one that
            leads out of its folder), or would unpack to more than the limits; also when it turns
            out damaged within the block.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            most = MOST_BYTES if most is None else most
            _check(archive.infolist(), allowed, what, _size(source), most)
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{what} is damaged or no zip file ({error}); export or copy it again."
        ) from None
    except OSError as error:
        raise DataError(f"{what} cannot be read ({error.strerror or error}).") from None


def unpacked(members: Iterable[zipfile.ZipInfo]) -> int:
    """Bytes that members of a zip unpack to."""
    return sum(member.file_size for member in members)


def copy_member(archive: zipfile.ZipFile, name: str, target: IO[bytes] | None) -> str:
    """Copy one member, or only read it, and return its SHA-256."""
    digest = hashlib.sha256()
    with archive.open(name) as member:
        while piece := member.read(CHUNK):
            digest.update(piece)
            if target is not None:
                target.write(piece)
    return digest.hexdigest()


def _check(
    members: list[zipfile.ZipInfo], allowed: Mapping[str, int], what: str, size: int, most: int
) -> None:
    if len(members) > MOST_MEMBERS:
        raise DataError(f"{what} holds {len(members):,} files; at most {MOST_MEMBERS:,} are read.")
    if len({member.filename for member in members}) < len(members):
        raise DataError(f"{what} holds two files of one name and is refused.")
    for member in members:
        name = member.filename if len(member.filename) <= 80 else member.filename[:80] + "…"
        rules = (rule for rule in allowed if re.fullmatch(rule, member.filename))
        limit = allowed.get(next(rules, ""))
        kind = member.external_attr >> 16 & 0o170000
        if limit is None or kind == SYMLINK:
            raise DataError(f"{what} holds {name!r}, which does not belong there, and is refused.")
        if member.flag_bits & 1 or member.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise DataError(f"{what} is encrypted or packed in an unusual way; export it again.")
        if member.file_size > limit:
            raise DataError(
                f"{name} in {what} would unpack to {member.file_size / 1e6:,.0f} MB, more than the "
                f"{limit / 1e6:,.0f} MB allowed; the file is refused."
            )
        if member.file_size > max(SMALL, MOST_RATIO * member.compress_size):
            raise DataError(
                f"{name} in {what} would unpack to more than {MOST_RATIO} times its size, as zip "
                "bombs do; the file is refused."
            )
    total = unpacked(members)
    if total > most or sum(member.compress_size for member in members) > size:
        raise DataError(f"{what} would unpack to {total / 1e9:,.1f} GB and is refused.")


def _size(source: Path | BinaryIO) -> int:
    if isinstance(source, Path):
        return source.stat().st_size
    place = source.tell()
    end = source.seek(0, 2)
    source.seek(place)
    return end
