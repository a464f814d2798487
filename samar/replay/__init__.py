"""Recorded runs that ship with the app: what a lesson shows before anything was trained here.

Importing this package does not import torch; the names that need it are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from samar.replay.catalog import Film, RecordedRun, Recording, names, recording

if TYPE_CHECKING:
    from samar.replay.protocols import PROTOCOLS, make

_LAZY = {"PROTOCOLS": "protocols", "make": "protocols"}

__all__ = ["PROTOCOLS", "Film", "RecordedRun", "Recording", "make", "names", "recording"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"samar.replay.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
