"""The study that the defaults come from: protocol, runner, tables.

Importing this package does not import torch; the names that need it are loaded on first use.
"""

from typing import TYPE_CHECKING

from samar.lazy import lazily
from samar.study.protocol import ARMS, PHASES, TASKS
from samar.study.rows import Row, as_csv, read_rows

if TYPE_CHECKING:
    from samar.study.runner import Plan, run_study

_LAZY = {"Plan": "runner", "run_study": "runner"}

__all__ = ["ARMS", "PHASES", "TASKS", "Plan", "Row", "as_csv", "read_rows", "run_study"]

__getattr__ = lazily(__name__, _LAZY)
