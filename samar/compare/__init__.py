"""Several runs beside each other: curves, groups of seeds, differing settings, flatness.

Importing this package imports neither torch nor SciPy; what needs them is loaded on first use.
"""

from typing import TYPE_CHECKING

from samar.compare.differences import NOT_USED, differences
from samar.compare.groups import Curve, Group, Spread, group_by_seed, spread, titles_of
from samar.compare.metrics import METRICS, Metric, curve_of
from samar.lazy import lazily

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

__getattr__ = lazily(__name__, _LAZY)
