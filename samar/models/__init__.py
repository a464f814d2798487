"""Networks. The catalogue is at hand at once; what needs torch is loaded on first use."""

from typing import TYPE_CHECKING

from samar.lazy import lazily
from samar.models.catalog import MODELS, ModelInfo, model_info

if TYPE_CHECKING:
    from samar.models.build import build_model

__all__ = ["MODELS", "ModelInfo", "build_model", "model_info"]

_LAZY = {"build_model": "build"}

__getattr__ = lazily(__name__, _LAZY)
