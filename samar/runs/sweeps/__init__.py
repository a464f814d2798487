"""Sweeps: many runs that differ in chosen settings, repeated over seeds, compared fairly.

Importing this package imports neither torch nor Optuna.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from samar.runs.sweeps.spec import SweepSpec

if TYPE_CHECKING:
    from samar.runs.sweeps.service import Sweeps
    from samar.runs.sweeps.store import Sweep

_LAZY = {"Sweep": "store", "Sweeps": "service"}

__all__ = ["Sweep", "SweepSpec", "Sweeps"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"samar.runs.sweeps.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
