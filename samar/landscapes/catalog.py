"""The ways to cut through a loss, by name, for controls and options that need no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DirectionInfo:
    """A kind of direction.

    Attributes:
        others: further networks that a line needs; a plane needs one more where there are any.
        span: half the width looked at, in the direction's own units, unless another is chosen.
    """

    title: str
    help: str
    others: int = 0
    span: float = 1.0


DIRECTIONS = {
    "filter": DirectionInfo(
        "Random, filter-normalized",
        "Gaussian, each filter as long as the network's own filter (Li et al. 2018).",
    ),
    "layer": DirectionInfo(
        "Random, layer-normalized",
        "Gaussian, each layer as long as the network's own layer; small filters drown in it.",
    ),
    "raw": DirectionInfo(
        "Random, not normalized",
        "Plain Gaussian: shows the scale of the weights, not the shape of the loss.",
        span=0.02,
    ),
    "between": DirectionInfo(
        "Between networks",
        "The line to a second network, or the plane through three.",
        others=1,
    ),
    "hessian": DirectionInfo(
        "Top eigenvectors",
        "Where the loss curves most: eigenvectors of the Hessian, of length one.",
        span=0.2,
    ),
    "pca": DirectionInfo(
        "Main directions of a path",
        "Where a sequence of snapshots moved most, seen from its end.",
        others=2,
    ),
}

BATCHNORM = {
    "fixed": "the network's running statistics",
    "recalibrate": "estimated anew at each point",
}

LEVELS = (5, 9, 17, 33, 65)
"""Points along an axis; each level holds all points of the one before."""

SHAPES = {1: "line", 2: "plane"}

SAMPLING = {
    "grid": "the whole grid",
    "adaptive": "adaptive",
}
