r"""How curvature and the steps of training meet, at one moment of a run.

**Edge of stability.** On a quadratic with curvature h a step of gradient descent multiplies the
distance by 1 − ηh, and diverges above h = 2/η (Cohen et al. 2021, arXiv 2103.00065). A step along
g + λ(g̃ − g), with g̃ the gradient at x + ρ g/‖g‖, multiplies it by 1 − ηh(1 + λρh/‖g‖), which
reaches −1 at

    h = ‖g‖/(2λρ) · (√(1 + 8λρ/(η‖g‖)) − 1)

For λ = 1 this is SAM's edge (Long and Bartlett 2024, arXiv 2309.12488, eq. 2); λ in place of 1 is
ours. It lies below 2/η, and falls with the gradient: near a minimum SAM tolerates less curvature.
Momentum and mini-batches move both bounds.

**κ.** By Taylor the sharpness that SAM and SAMAR measure is f(x + ρĝ) − f(x) = ρ‖g‖ κ with

    κ = 1 + ½ ρ ĝᵀHĝ/‖g‖ + …,   ĝ = g/‖g‖

so that of the measured sharpness the part above ρ‖g‖ is curvature along the gradient.

**Share of the gradient in the top eigenspace**, ‖Vᵀg‖²/‖g‖² for the leading eigenvectors V
(Gur-Ari, Roberts and Dyer 2018, arXiv 1812.04754).
"""

import math
from dataclasses import dataclass

from torch import Tensor

from samar.curvature.product import Hessian
from samar.device.waiting import on_host


@dataclass(frozen=True)
class Dynamics:
    """The gradient against the Hessian.

    Attributes:
        gradient_norm: ‖g‖.
        gradient_share: of ‖g‖², what lies in the given eigenvectors, between 0 and 1.
        along_gradient: ĝᵀHĝ.
        kappa: (f(x + ρĝ) − f(x)) / ρ‖g‖, measured; None without ρ.
        kappa_expected: 1 + ½ρ ĝᵀHĝ/‖g‖; None without ρ.
    """

    gradient_norm: float
    gradient_share: float
    along_gradient: float
    kappa: float | None
    kappa_expected: float | None


def dynamics_of(hessian: Hessian, vectors: Tensor, rho: float | None = None) -> Dynamics | None:
    """Measure all of it with one Hessian-vector product, and with ρ one forward pass more.

    Args:
        hessian: at the weights in question.
        vectors: orthonormal rows (k, n), the leading eigenvectors.
        rho: radius ρ > 0 of the perturbation.

    Returns:
        None where the gradient vanishes, which has no direction.
    """
    gradient = hessian.gradient
    norm = on_host(gradient.norm()).item()
    if not norm > 0:
        return None
    unit = gradient / norm
    inside = vectors.to(unit) @ unit
    along = on_host(unit @ (hessian @ unit)).item()
    share = on_host(inside @ inside).item()
    measured = expected = None
    if rho:
        measured = (hessian.loss_at(rho * unit) - hessian.loss) / (rho * norm)
        expected = 1 + rho * along / (2 * norm)
    return Dynamics(norm, share, along, measured, expected)


def edge_of_stability(lr: float, radius: float = 0.0, gradient_norm: float = 1.0) -> float:
    """The curvature h above which a step overshoots by more than it corrects.

    Args:
        lr: η > 0.
        radius: λρ ≥ 0; 0 for gradient descent, ρ for SAM.
        gradient_norm: ‖g‖ > 0 by which the perturbation was normalized.

    Returns:
        2/η for gradient descent, less with a perturbation.

    Example:
        >>> edge_of_stability(0.1)
        20.0
        >>> round(edge_of_stability(0.1, radius=0.05, gradient_norm=0.5), 3)
        10.0
    """
    # The formula of the module's text, multiplied out: it holds for a radius of 0 as well.
    return 4 / lr / (1 + math.sqrt(1 + 8 * radius / (lr * gradient_norm)))
