"""Loss landscapes: lines and planes through a network's weights.

Importing this package does not import torch; the names that need it are loaded on first use.
"""

from typing import TYPE_CHECKING

from samar.landscape.catalog import BATCHNORM, DIRECTIONS, LEVELS
from samar.landscape.config import LandscapeConfig, command_line
from samar.lazy import lazily

if TYPE_CHECKING:
    from samar.landscape.directions import random_direction, weights_of
    from samar.landscape.evaluator import Evaluator
    from samar.landscape.frame import Frame, frame_between, given_frame, random_frame
    from samar.landscape.grid import Grid
    from samar.landscape.result import Ball, Landscape, Trail
    from samar.landscape.survey import Survey, line, plane, survey_of
    from samar.landscape.trajectory import pca_frame, trail

_LAZY = {
    "Ball": "result",
    "Evaluator": "evaluator",
    "Frame": "frame",
    "Grid": "grid",
    "Landscape": "result",
    "Survey": "survey",
    "Trail": "result",
    "frame_between": "frame",
    "given_frame": "frame",
    "line": "survey",
    "pca_frame": "trajectory",
    "plane": "survey",
    "random_direction": "directions",
    "random_frame": "frame",
    "survey_of": "survey",
    "trail": "trajectory",
    "weights_of": "directions",
}

__all__ = [
    "BATCHNORM",
    "DIRECTIONS",
    "LEVELS",
    "Ball",
    "Evaluator",
    "Frame",
    "Grid",
    "Landscape",
    "LandscapeConfig",
    "Survey",
    "Trail",
    "command_line",
    "frame_between",
    "given_frame",
    "line",
    "pca_frame",
    "plane",
    "random_direction",
    "random_frame",
    "survey_of",
    "trail",
    "weights_of",
]

__getattr__ = lazily(__name__, _LAZY)
