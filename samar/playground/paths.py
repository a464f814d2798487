"""What an optimizer did in the playground, what became of it, and all of it as a table.

Nothing here loads torch.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samar.playground.losses import build_loss
from samar.playground.settings import PlaygroundSettings

Floats = npt.NDArray[np.float64]

TAIL = 20
"""The last steps from which it is told what a path is doing."""

NEAR = 0.5
"""A path whose last steps lie within this of a bottom, on average, has reached it."""

PROGRESS = 0.92
"""A path that came closer by this factor during its last steps is still on its way."""

VECTORS = ("gradient", "perturbation", "perturbed_gradient", "direction")
COLUMNS = [
    *("optimizer", "step", "x", "y", "loss"),
    *(f"{name}_{axis}" for name in VECTORS for axis in "xy"),
    *("perturbed_loss", "sharpness", "lam", "ratio"),
]


@dataclass(frozen=True)
class Path:
    """What one optimizer did in n steps; n is smaller than asked for if it diverged.

    Attributes:
        optimizer: A key of ``samar.optim.catalog.OPTIMIZERS``.
        positions: x_0 … x_n, (n + 1, 2).
        loss: f(x_0) … f(x_n) without noise, (n + 1,).
        gradients: g_k = ∇f_k(x_k), (n, 2).
        perturbations: ε_k, (n, 2); NaN for SGD, which has none.
        perturbed_gradients: ∇f_k(x_k + ε_k), (n, 2); NaN for SGD.
        perturbed_loss: f(x_k + ε_k) without noise, (n,); NaN for SGD.
        directions: d_k, what the base optimizer stepped against, (n, 2).
        sharpness: f_k(x_k + ε_k) − f_k(x_k) as the optimizer measured it, (n,); NaN for SGD.
        lam: λ_k that entered d_k, (n,); NaN but for SAMAR.
        ratio: Sharpness ratio r_k, (n,); NaN but for SAMAR, and where there is none.
        diverged: Whether it left for infinity; the path then ends at the last finite point.
        curvatures: Eigenvalues of the Hessian of f at x_n, the larger first, (2,).
    """

    optimizer: str
    positions: Floats
    loss: Floats
    gradients: Floats
    perturbations: Floats
    perturbed_gradients: Floats
    perturbed_loss: Floats
    directions: Floats
    sharpness: Floats
    lam: Floats
    ratio: Floats
    diverged: bool
    curvatures: Floats

    @property
    def steps(self) -> int:
        """n."""
        return len(self.positions) - 1

    @property
    def end(self) -> tuple[float, float]:
        """x_n."""
        x, y = self.positions[-1]
        return float(x), float(y)


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
    """

    kind: str
    valley: str
    curvature: float
    end_curvature: float
    distance: float


def outcome(settings: PlaygroundSettings, path: Path) -> Outcome:
    """Tell where a path ended and what it was doing last."""
    loss = build_loss(settings)
    minimum = loss.valley(*path.end)
    offsets = path.positions[-TAIL:] - (minimum.x, minimum.y)
    kind = "diverged" if path.diverged else _kind(offsets)
    return Outcome(
        kind=kind,
        valley=minimum.name,
        curvature=loss.curvatures(minimum.x, minimum.y)[0],
        end_curvature=float(path.curvatures[0]),
        distance=float(np.hypot(*offsets[-1])),
    )


def _kind(offsets: Floats) -> str:
    """What a path that did not diverge was doing, from where it was last, seen from the bottom."""
    before, after = (float(np.hypot(*half.mean(axis=0))) for half in np.array_split(offsets, 2))
    if after < NEAR:
        return "reached"
    return "moving" if after < PROGRESS * before else "held"


def to_csv(paths: Mapping[str, Path]) -> str:
    """One row per optimizer and step; what belongs to a step is empty in the last row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, path in paths.items():
        of_steps = np.column_stack(
            [
                path.gradients,
                path.perturbations,
                path.perturbed_gradients,
                path.directions,
                path.perturbed_loss,
                path.sharpness,
                path.lam,
                path.ratio,
            ]
        )
        for step, (position, loss) in enumerate(zip(path.positions, path.loss, strict=True)):
            rest = of_steps[step] if step < path.steps else np.full(of_steps.shape[1], np.nan)
            numbers = [float(v) for v in (*position, loss, *rest)]
            writer.writerow([name, step, *("" if np.isnan(v) else repr(v) for v in numbers)])
    return text.getvalue()
