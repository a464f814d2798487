"""Several runs beside each other: curves, groups of seeds, differing settings, flatness.

Importing this package imports neither torch nor SciPy; what needs them is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from samar.compare.differences import NOT_USED, differences
from samar.compare.groups import Curve, Group, Spread, group_by_seed, spread, titles_of
from samar.compare.metrics import METRICS, Metric, curve_of

if TYPE_CHECKING:
    from samar.compare.association import Association, associations
    from samar.compare.flatness import FEWEST, FlatnessReport, Point, flatness_report
    from samar.compare.measuring import known_measures, measured, point_of

_LAZY = {
    "Association": "association",
    "FEWEST": "flatness",
    "FlatnessReport": "flatness",
    "Point": "flatness",
    "associations": "association",
    "flatness_report": "flatness",
    "known_measures": "measuring",
    "measured": "measuring",
    "point_of": "measuring",
}

__all__ = [
    "FEWEST",
    "METRICS",
    "NOT_USED",
    "Association",
    "Curve",
    "FlatnessReport",
    "Group",
    "Metric",
    "Point",
    "Spread",
    "associations",
    "curve_of",
    "differences",
    "flatness_report",
    "group_by_seed",
    "known_measures",
    "measured",
    "point_of",
    "spread",
    "titles_of",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"samar.compare.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
