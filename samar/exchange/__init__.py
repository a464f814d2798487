"""Runs as files: a zip that another samar imports, TensorBoard events.

Importing this package does not import torch; what needs it is loaded on first use.
"""

from typing import TYPE_CHECKING

from samar.exchange.archive import run_zip, write_run
from samar.exchange.importing import import_run
from samar.exchange.manifest import manifest_of
from samar.lazy import lazily

if TYPE_CHECKING:
    from samar.exchange.tensorboard import can_write_tensorboard, write_tensorboard

_LAZY = {"can_write_tensorboard": "tensorboard", "write_tensorboard": "tensorboard"}

__all__ = [
    "can_write_tensorboard",
    "import_run",
    "manifest_of",
    "run_zip",
    "write_run",
    "write_tensorboard",
]

__getattr__ = lazily(__name__, _LAZY)
