"""Fetch a large file: resumable, verified, and never half there under its final name.

A download that ends early leaves ``NAME.part``. A later call asks the server for the rest; when all
bytes are there and the checksum is right, the file gets its name in one rename.
"""

import hashlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from samar.errors import DataError
from samar.home import home

Progress = Callable[[int, int], None]
CHUNK = 1 << 18
TIMEOUT_SECONDS = 30
RANGE_NOT_SATISFIABLE = 416
PARTIAL_CONTENT = 206


def default_root() -> Path:
    """Folder of downloaded data: ``data`` under ``SAMAR_HOME`` or the user's data directory."""
    return home() / "data"


def md5_of(file: Path) -> str:
    """MD5 of a file, hexadecimal."""
    return digest_of(file, "md5")


def digest_of(file: Path, algorithm: str) -> str:
    """Checksum of a file, hexadecimal; ``algorithm`` is one that :mod:`hashlib` knows."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def download(
    url: str, file: Path, md5: str = "", progress: Progress | None = None, *, sha256: str = ""
) -> None:
    """Fetch ``url`` to ``file``, going on from an earlier attempt.

    Args:
        url: where the file is.
        file: where it goes; its folder is made if need be.
        md5: of the whole file, hexadecimal; not checked where empty.
        progress: called with bytes so far and bytes in all (0 where the server does not say).
        sha256: of the whole file, hexadecimal, or its first digits; not checked where empty.

    Raises:
        DataError: no connection, a broken connection, a full disk, or other bytes than expected.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        done, total = _fetch(url, part, progress)
        if done < total:
            raise DataError(
                f"The download of {url} broke off after {done / 1e6:.1f} of "
                f"{total / 1e6:.1f} MB; start it again and it goes on from there."
            )
        _verify(url, part, md5, sha256)
        part.replace(file)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"The download of {url} failed ({getattr(error, 'reason', None) or error}); check the "
            f"network and start it again, or put the file {file.name} into {file.parent} yourself."
        ) from error


def _verify(url: str, part: Path, md5: str, sha256: str) -> None:
    """Throw the bytes away if they are others than expected."""
    for name, expected in (("md5", md5), ("sha256", sha256.lower())):
        found = digest_of(part, name) if expected else ""
        if not found.startswith(expected):
            part.unlink()
            raise DataError(
                f"The download of {url} is damaged ({name.upper()} {found} instead of {expected}); "
                "start it again."
            )


def _fetch(url: str, part: Path, progress: Progress | None) -> tuple[int, int]:
    """Append to ``part`` what is missing; return the bytes there are and should be."""
    done = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urlopen(request, timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE:
            return done, done
        raise
    with response:
        if response.status != PARTIAL_CONTENT:
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else 0
        with part.open("ab" if done else "wb") as stream:
            while chunk := response.read(CHUNK):
                stream.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
    return done, total
