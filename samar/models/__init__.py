"""Networks. The catalogue is at hand at once; what needs torch is loaded on first use."""

import importlib
from typing import TYPE_CHECKING, Any

from samar.models.catalog import MODELS, ModelInfo, model_info

if TYPE_CHECKING:
    from samar.models.build import build_model

__all__ = ["MODELS", "ModelInfo", "build_model", "model_info"]

_LAZY = {"build_model": "build"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
