"""Runs: a config, a process and a stream of records, kept in a store that faces read and steer.

Importing this package does not import torch; only the worker process does.
"""

from samar.runs.config import RunConfig, command_line
from samar.runs.downsample import thin
from samar.runs.history import RunHistory
from samar.runs.paths import film_path
from samar.runs.service import Runs
from samar.runs.store import RESUMABLE, Run, Store
from samar.runs.summary import summary

__all__ = [
    "RESUMABLE",
    "Run",
    "RunConfig",
    "RunHistory",
    "Runs",
    "Store",
    "command_line",
    "film_path",
    "summary",
    "thin",
]
