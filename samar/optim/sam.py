"""SAM: descend along the gradient taken at the worst nearby point.

Foret, Kleiner, Mobahi, Neyshabur, "Sharpness-Aware Minimization for Efficiently Improving
Generalization", ICLR 2021, arXiv 2010.01412:

    min_x max_{‖ε‖ ≤ ρ} f(x + ε),   ε_k = ρ g_k / ‖g_k‖,   d_k = ∇f(x_k + ε_k)

The inner maximum is solved to first order, on the mini-batch of the step, and ε_k is not
differentiated through. ASAM is SAM with the ball measured relative to the weights (Kwon, Kim,
Park, Choi, "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of Deep
Neural Networks", ICML 2021, arXiv 2102.11600); its details and departures are in
`samar.optim.perturbation`.
"""

from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from samar.optim.catalog import ASAM_RHO, RHO
from samar.optim.second_pass import SecondPass
from samar.optim.two_pass import TwoPassOptimizer


class SAM(TwoPassOptimizer):
    r"""Sharpness-Aware Minimization around a base optimizer.

    .. math::
        \epsilon_k = \rho \, \frac{T^2 g_k}{\lVert T g_k \rVert}, \qquad
        d_k = \nabla f(x_k + \epsilon_k; \xi_k)

    with T = I, or T = diag(|x|) if `adaptive`. The base optimizer receives d_k as the gradient at
    the restored weights, so weight decay enters there and not in the perturbation. Beyond weights
    and gradients it holds one buffer the size of the parameters. On CUDA, and with `adaptive`,
    `first_step` makes a second one for a moment, while no activations are alive.

    Args:
        params: Parameters, or groups that may set their own `rho` and `adaptive`.
        base: Class of the base optimizer.
        rho: Radius ρ ≥ 0 in units of the weights (of T⁻¹·weights if `adaptive`); 0 gives the base
            optimizer at twice the cost.
        adaptive: Whether to scale the perturbation by |x|; ρ is then usually ten times larger, as
            `ASAM` has it.
        second_pass: When the second gradient is taken; at every step unless told otherwise.
        model: Network whose BatchNorm statistics must not move in the second pass.
        **base_kwargs: Arguments of `base`, such as `lr`.

    Raises:
        ValueError: If ρ is negative.
        TypeError: If `base` is not an optimizer class.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = SAM(model.parameters(), torch.optim.SGD, lr=0.1, rho=0.05)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = model(torch.ones(4, 2)).square().mean()
        ...     loss.backward()
        ...     return loss
        >>> loss = optimizer.step(closure)

    Reference:
        Foret et al., ICLR 2021, arXiv 2010.01412; Kwon et al., ICML 2021, arXiv 2102.11600.
    """

    def __init__(
        self,
        params: ParamsT,
        base: type[Optimizer] = torch.optim.SGD,
        *,
        rho: float = RHO,
        adaptive: bool = False,
        second_pass: SecondPass | None = None,
        model: nn.Module | None = None,
        **base_kwargs: Any,
    ) -> None:
        defaults = {"rho": rho, "adaptive": adaptive}
        super().__init__(params, base, model, defaults, base_kwargs, second_pass)


class ASAM(SAM):
    r"""Adaptive Sharpness-Aware Minimization: `SAM` with `adaptive=True`, and a radius to match.

    .. math::
        \epsilon_k = \rho \, \frac{T^2 g_k}{\lVert T g_k \rVert}, \quad T = \mathrm{diag}(|x_k|),
        \qquad d_k = \nabla f(x_k + \epsilon_k; \xi_k)

    A ReLU network computes the same after one layer is multiplied by a number and the next divided
    by it. ε is then scaled alike, so the perturbed loss stays the same too; SAM's changes. The
    default ρ is that of the authors' code, which leaves biases out of the scaling (T = I): for
    that, give them a group of their own with `adaptive=False`.

    Args:
        params: Parameters, or groups that may set their own `rho` and `adaptive`.
        base: Class of the base optimizer.
        rho: Radius ρ ≥ 0 of T⁻¹ε, relative to the weights and so without a unit.
        second_pass: When the second gradient is taken; at every step unless told otherwise.
        model: Network whose BatchNorm statistics must not move in the second pass.
        **base_kwargs: Arguments of `base`, such as `lr`.

    Raises:
        ValueError: If ρ is negative.
        TypeError: If `base` is not an optimizer class.

    Example:
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = ASAM(model.parameters(), torch.optim.SGD, lr=0.1)
        >>> optimizer.param_groups[0]["rho"], optimizer.param_groups[0]["adaptive"]
        (0.5, True)

    Reference:
        Kwon et al., ICML 2021, arXiv 2102.11600.
    """

    def __init__(
        self,
        params: ParamsT,
        base: type[Optimizer] = torch.optim.SGD,
        *,
        rho: float = ASAM_RHO,
        second_pass: SecondPass | None = None,
        model: nn.Module | None = None,
        **base_kwargs: Any,
    ) -> None:
        super().__init__(
            params,
            base,
            rho=rho,
            adaptive=True,
            second_pass=second_pass,
            model=model,
            **base_kwargs,
        )
