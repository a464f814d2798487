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
of outputs.
"""

from functools import partial

import torch
from torch import Tensor

from samar.curvature.graph import GradientGraph, Graph, Parameters, SandwichGraph
from samar.curvature.product import CurvatureMatrix, Hessian
from samar.data.objective import Objective
from samar.device.precision import exact
from samar.device.waiting import on_host
from samar.errors import ConfigError

MEAN_TOLERANCE = 1e-3
"""By how much, relatively, the mean of the examples' losses may miss the loss, from rounding."""


class GaussNewton(CurvatureMatrix):
    """G = Jᵀ ∇²_z ℓ J, (n, n)."""

    def graph_of(self, piece: Objective) -> Graph:
        """The matrix of one batch alone."""
        return gauss_newton_of(self, piece)


class Rest(CurvatureMatrix):
    """R = H − G, (n, n): what the bending of the network itself adds to Gauss–Newton.

    It is the Hessian of ⟨z(θ), ∂ℓ/∂z⟩ with ∂ℓ/∂z held fixed.
    """

    def graph_of(self, piece: Objective) -> Graph:
        """The matrix of one batch alone."""

        def fixed_slope(at: Parameters) -> Tensor:
            outputs = self.ask("outputs", at, piece)
            still = outputs.detach().requires_grad_()
            loss = piece.loss_of(still)
            (slope,) = torch.autograd.grad(loss, still)
            moved: Tensor = (outputs - still.detach()) * slope
            return loss.detach() + moved.sum()

        return GradientGraph(fixed_slope, self.at, again=True)


class EmpiricalFisher(CurvatureMatrix):
    """F = 1/n Σ g_i g_iᵀ, (n, n), over the gradients of single examples.

    Raises:
        ConfigError: the loss is not a mean over examples.
    """

    def prepare(self) -> None:
        """As for every matrix, and compare the loss with the losses of the examples."""
        super().prepare()
        with torch.no_grad():
            parts = [exact(self.losses(self.at, piece).sum()) for piece in self.batches()]
        mean = on_host(torch.stack(parts).sum()).item() / self.examples
        loss = self.loss_at(torch.zeros_like(self.point))
        if abs(mean - loss) > MEAN_TOLERANCE * (abs(loss) + 1e-6):
            raise ConfigError(
                f"The mean of the examples' losses is {mean:g}, but the loss is {loss:g}; "
                "gradients of single examples need a loss that is a mean over them."
            )

    def slopes(self, vectors: Tensor) -> Tensor:
        """⟨g_i, v⟩ of every example i and each row v of (k, n), (examples, k), in float64."""
        tangents = [self.unflat(vector) for vector in vectors]

        def attempt() -> Tensor:
            rows = []
            for index, piece in enumerate(self.batches()):
                graph = self._graphs[index] if index < self.kept else self.graph_of(piece)
                assert isinstance(graph, SandwichGraph)
                rows.append(on_host(torch.stack([graph.moved(each) for each in tangents], 1)))
            return torch.cat(rows).double()

        return self._frugally(attempt)

    def graph_of(self, piece: Objective) -> Graph:
        """The matrix of one batch alone."""
        losses = partial(self.losses, piece=piece)
        middle = lambda _, moved: moved / len(moved)  # noqa: E731
        return SandwichGraph(losses, torch.mean, middle, self.at)

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


def gauss_newton_of(operator: CurvatureMatrix, piece: Objective) -> Graph:
    """G of one batch alone, at an operator's weights."""

    def middle(outputs: Tensor, moved: Tensor) -> Tensor:
        outputs = outputs.detach().requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(piece.loss_of(outputs), outputs, create_graph=True)
        if not slope.requires_grad:  # a loss linear in the outputs
            return torch.zeros_like(moved)
        (bend,) = torch.autograd.grad(slope, outputs, moved, materialize_grads=True)
        return bend

    function = partial(operator.ask, "outputs", piece=piece)
    return SandwichGraph(function, piece.loss_of, middle, operator.at)


def in_gauss_newton(hessian: Hessian, vectors: Tensor) -> tuple[float, ...]:
    """vᵀ G v of each row v of (k, n): with vᵀ H v it says how much of it is Gauss–Newton."""
    sizes, forms = hessian.forms(vectors, partial(gauss_newton_of, hessian))
    return tuple((sizes.double() @ forms / sizes.sum()).tolist())
