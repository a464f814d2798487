"""What landscapes and curvature share: fixed images to measure on, and a model left as it was."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samar.geometry.guard import undisturbed
    from samar.geometry.sample import Sample

_LAZY = {"Sample": "sample", "undisturbed": "guard"}

__all__ = ["Sample", "undisturbed"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"samar.geometry.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
