"""Sweeps: many runs that differ in chosen settings, repeated over seeds, compared fairly.

Importing this package imports neither torch nor Optuna.
"""

from typing import TYPE_CHECKING

from samar.lazy import lazily
from samar.runs.sweeps.spec import SweepSpec

if TYPE_CHECKING:
    from samar.runs.sweeps.service import Sweeps
    from samar.runs.sweeps.store import Sweep

_LAZY = {"Sweep": "store", "Sweeps": "service"}

__all__ = ["Sweep", "SweepSpec", "Sweeps"]

__getattr__ = lazily(__name__, _LAZY)
