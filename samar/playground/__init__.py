"""Losses of two parameters on which the optimizers of ``samar.optim`` can be watched step by step.

    >>> from samar.playground import PlaygroundConfig, descend
    >>> paths = descend(PlaygroundConfig(landscape="valleys", optimizers=("sgd", "samar")))
    >>> paths["samar"].positions.shape, paths["samar"].lam.shape
    ((151, 2), (150,))
    >>> [round(float(path.curvatures[0])) for path in paths.values()]  # λ_max where each ended
    [40, 1]

Importing this package does not import torch; the names that need it are loaded on first use.
"""

from typing import TYPE_CHECKING

from samar.lazy import lazily
from samar.playground.catalog import CONSTANTS, LANDSCAPES, SETTINGS, Knob, LandscapeInfo
from samar.playground.config import PlaygroundConfig
from samar.playground.presets import PRESETS, Preset

if TYPE_CHECKING:
    from samar.playground.descent import Path, descend, descend_with
    from samar.playground.export import to_csv
    from samar.playground.losses import Loss, Minimum, build_loss
    from samar.playground.outcomes import Outcome, outcome

_LAZY = {
    "Loss": "losses",
    "Minimum": "losses",
    "Outcome": "outcomes",
    "Path": "descent",
    "build_loss": "losses",
    "descend": "descent",
    "descend_with": "descent",
    "outcome": "outcomes",
    "to_csv": "export",
}

__all__ = [
    "CONSTANTS",
    "LANDSCAPES",
    "PRESETS",
    "SETTINGS",
    "Knob",
    "LandscapeInfo",
    "Loss",
    "Minimum",
    "Outcome",
    "Path",
    "PlaygroundConfig",
    "Preset",
    "build_loss",
    "descend",
    "descend_with",
    "outcome",
    "to_csv",
]

__getattr__ = lazily(__name__, _LAZY)
