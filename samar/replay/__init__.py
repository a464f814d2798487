"""Recorded runs that ship with the app: what a lesson shows before anything was trained here.

Importing this package does not import torch; the names that need it are loaded on first use.
"""

from typing import TYPE_CHECKING

from samar.lazy import lazily
from samar.replay.catalog import Film, RecordedRun, Recording, names, recording

if TYPE_CHECKING:
    from samar.replay.protocols import PROTOCOLS, make

_LAZY = {"PROTOCOLS": "protocols", "make": "protocols"}

__all__ = ["PROTOCOLS", "Film", "RecordedRun", "Recording", "make", "names", "recording"]

__getattr__ = lazily(__name__, _LAZY)
