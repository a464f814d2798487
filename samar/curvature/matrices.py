r"""The curvature matrices of a loss besides its Hessian, through the same products and solvers.

With the network's outputs z = z(θ), the mean loss f = ℓ(z), gradients g_i of single examples and
their mean g,

    Gauss–Newton   G = Jᵀ ∇²_z ℓ J,  J = ∂z/∂θ    (Schraudolph 2002)
    the rest       R = H − G = Σ_j ∂ℓ/∂z_j ∇²_θ z_j
    Fisher         F = 1/n Σ_i g_i g_iᵀ           (the empirical one: of the labels as they are)
    covariance     Σ = F − g gᵀ                   (of one example's gradient)

G is what is left of the Hessian where the network is replaced by its tangent at θ; R is what the
network's own bending adds, and is zero where the loss is at its minimum in every output. Under
cross-entropy G is also the exact Fisher matrix, the mean of g_i g_iᵀ over labels drawn from the
network's own probabilities (Martens 2020, arXiv 1412.1193, sec. 9). The empirical Fisher is
neither (Kunstner, Balles and Hennig 2019, arXiv 1905.12558).

All but R are positive semidefinite, with a rank of at most the number of examples, for G times that
of outputs. A product takes a forward pass, its derivative along v, and a backward pass.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp

from samar.curvature.graph import Parameters
from samar.curvature.product import CurvatureMatrix, Hessian, no_forward_derivative
from samar.data.objective import Objective
from samar.device.waiting import on_host
from samar.errors import ConfigError

MEAN_TOLERANCE = 1e-3
"""By how much, relatively, the mean of the examples' losses may miss the loss, from rounding."""


class GaussNewton(CurvatureMatrix):
    """G = Jᵀ ∇²_z ℓ J, (n, n)."""

    def part(self, index: int, piece: Objective, tangent: Parameters) -> Iterable[Tensor]:
        """The product with the matrix of one batch alone, parameter by parameter."""
        return gauss_newton_product(self, piece, tangent)


class Rest(Hessian):
    """R = H − G, (n, n): what the bending of the network itself adds to Gauss–Newton."""

    def part(self, index: int, piece: Objective, tangent: Parameters) -> Iterable[Tensor]:
        """The product with the matrix of one batch alone, parameter by parameter."""
        whole = super().part(index, piece, tangent)
        pairs = zip(whole, gauss_newton_product(self, piece, tangent), strict=True)
        return [h - g for h, g in pairs]


class EmpiricalFisher(CurvatureMatrix):
    """F = 1/n Σ g_i g_iᵀ, (n, n), over the gradients of single examples.

    Raises:
        ConfigError: the loss is not a mean over examples.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        parts = [self.losses(self.at, piece).sum() for piece in self.batches()]
        total = on_host(torch.stack(parts).sum()).item()
        if abs(total / self.examples - self.loss) > MEAN_TOLERANCE * (abs(self.loss) + 1e-6):
            raise ConfigError(
                f"The mean of the examples' losses is {total / self.examples:g}, but the loss is "
                f"{self.loss:g}; gradients of single examples need a loss that is a mean over them."
            )

    def part(self, index: int, piece: Objective, tangent: Parameters) -> Iterable[Tensor]:
        """The product with the matrix of one batch alone, parameter by parameter."""
        losses = partial(self.losses, piece=piece)
        return sandwich(self, losses, lambda _, moved: moved / len(moved), tangent)

    def losses(self, at: Parameters, piece: Objective) -> Tensor:
        """The loss of every example of a batch, (n,)."""
        found: Tensor = self.ask("each", at, piece)[0]
        return found


class GradientCovariance(EmpiricalFisher):
    """Σ = 1/n Σ (g_i − g)(g_i − g)ᵀ, (n, n)."""

    def _product(self, vector: Tensor) -> Tensor:
        return super()._product(vector).sub_(self.gradient * (self.gradient @ vector))


MATRICES: dict[str, type[CurvatureMatrix]] = {
    "hessian": Hessian,
    "gauss_newton": GaussNewton,
    "rest": Rest,
    "empirical_fisher": EmpiricalFisher,
    "covariance": GradientCovariance,
}
"""By their names in :data:`samar.curvature.catalog.MATRICES`."""


def gauss_newton_product(
    operator: CurvatureMatrix, piece: Objective, tangent: Parameters
) -> Iterable[Tensor]:
    """G v of one batch alone, parameter by parameter."""

    def middle(outputs: Tensor, moved: Tensor) -> Tensor:
        outputs = outputs.detach().requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(piece.loss_of(outputs), outputs, create_graph=True)
        if not slope.requires_grad:  # a loss linear in the outputs
            return torch.zeros_like(moved)
        (bend,) = torch.autograd.grad(slope, outputs, moved, materialize_grads=True)
        return bend

    return sandwich(operator, partial(operator.ask, "outputs", piece=piece), middle, tangent)


def sandwich(
    operator: CurvatureMatrix,
    function: Callable[[Parameters], Tensor],
    middle: Callable[[Tensor, Tensor], Tensor],
    tangent: Parameters,
) -> tuple[Tensor, ...]:
    """Jᵀ M J v for J the Jacobian of a function at the operator's weights.

    Args:
        operator: says where, and whether derivatives are taken forward.
        function: of the weights.
        middle: of the function's value and of J v: M J v.
        tangent: v.
    """
    leaves = {name: p.detach().requires_grad_() for name, p in operator.at.items()}
    ends = tuple(leaves.values())
    with torch.enable_grad():
        value = function(leaves)
    moved = None
    if operator.mode == "forward":
        try:
            moved = jvp(function, (operator.at,), (tangent,))[1]
        except RuntimeError as error:
            if not no_forward_derivative(error):
                raise
            operator.mode = "reverse"
    if moved is None:  # Jᵀ u is linear in u, and its derivative along v is J v
        dummy = torch.zeros_like(value, requires_grad=True)
        pulled = torch.autograd.grad(value, ends, dummy, create_graph=True, materialize_grads=True)
        pairs = [(g, t) for g, t in zip(pulled, tangent.values(), strict=True) if g.requires_grad]
        gradients, directions = zip(*pairs, strict=True)
        (moved,) = torch.autograd.grad(gradients, dummy, directions, retain_graph=True)
    return torch.autograd.grad(
        value, ends, middle(value.detach(), moved).detach(), materialize_grads=True
    )


def in_gauss_newton(hessian: Hessian, vectors: Tensor) -> tuple[float, ...]:
    """vᵀ G v of each row v of (k, n): with vᵀ H v it says how much of it is Gauss–Newton."""

    def product(vector: Tensor) -> Tensor:
        tangent = hessian.unflat(vector)
        return hessian.averaged(lambda _, piece: gauss_newton_product(hessian, piece, tangent))

    return tuple(on_host(v @ product(v)).item() for v in vectors)
