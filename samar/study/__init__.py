"""The study that the defaults come from: protocol, runner, tables.

Importing this package does not import torch; the names that need it are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from samar.study.protocol import ARMS, PHASES, TASKS
from samar.study.rows import Row, as_csv, read_rows

if TYPE_CHECKING:
    from samar.study.runner import Plan, run_study

_LAZY = {"Plan": "runner", "run_study": "runner"}

__all__ = ["ARMS", "PHASES", "TASKS", "Plan", "Row", "as_csv", "read_rows", "run_study"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"samar.study.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
