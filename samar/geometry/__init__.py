"""What landscapes and curvature share: fixed images to measure on, and a model left as it was."""

from typing import TYPE_CHECKING

from samar.lazy import lazily

if TYPE_CHECKING:
    from samar.geometry.guard import undisturbed
    from samar.geometry.sample import Sample

_LAZY = {"Sample": "sample", "undisturbed": "guard"}

__all__ = ["Sample", "undisturbed"]

__getattr__ = lazily(__name__, _LAZY)
