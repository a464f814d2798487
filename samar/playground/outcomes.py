"""What became of a path, in terms a sentence can be made of."""

from dataclasses import dataclass

import numpy as np

from samar.playground.config import PlaygroundConfig
from samar.playground.descent import Path
from samar.playground.losses import build_loss

TAIL = 20
"""The last steps from which it is told what a path is doing."""

NEAR = 0.5
"""A path whose last steps lie within this of a bottom, on average, has reached it."""

PROGRESS = 0.92
"""A path that came closer by this factor during its last steps is still on its way."""


@dataclass(frozen=True)
class Outcome:
    """Where a path ended.

    Attributes:
        kind: ``diverged``; ``reached``, about a valley's bottom; ``moving``, on its way there; or
            ``held``, in the valley but not getting nearer to its bottom.
        valley: Name of the minimum whose valley holds the end; meaningless if it diverged.
        curvature: Largest eigenvalue of the Hessian at that minimum.
        end_curvature: Largest eigenvalue of the Hessian at the end itself.
        distance: From the end to the minimum.
        loss: At the end, without noise.
    """

    kind: str
    valley: str
    curvature: float
    end_curvature: float
    distance: float
    loss: float


def outcome(config: PlaygroundConfig, path: Path) -> Outcome:
    """Tell where a path ended and what it was doing last."""
    loss = build_loss(config)
    minimum = loss.valley(*path.end)
    offsets = path.positions[-TAIL:] - (minimum.x, minimum.y)
    before, after = (float(np.hypot(*half.mean(axis=0))) for half in np.array_split(offsets, 2))
    if path.diverged:
        kind = "diverged"
    elif after < NEAR:
        kind = "reached"
    else:
        kind = "moving" if after < PROGRESS * before else "held"
    return Outcome(
        kind=kind,
        valley=minimum.name,
        curvature=loss.curvatures(minimum.x, minimum.y)[0],
        end_curvature=float(path.curvatures[0]),
        distance=float(np.hypot(*offsets[-1])),
        loss=float(path.loss[-1]),
    )
