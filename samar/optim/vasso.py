"""VaSSO: SAM along a gradient average, so that mini-batch noise does not choose the direction.

Li, Giannakis, "Enhancing Sharpness-Aware Optimization Through Variance Suppression", NeurIPS 2023,
arXiv 2309.15639:

    m_k = (1 − θ) m_{k−1} + θ g_k,  m_0 = g_0,    ε_k = ρ m_k / ‖m_k‖,    d_k = ∇f(x_k + ε_k)

θ multiplies the new gradient; θ = 1 is SAM. Departure: none known; `adaptive=True` (ASAM's T
applied to m_k) is an addition that the paper does not study.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from samar.optim.catalog import RHO, THETA
from samar.optim.perturbation import Part
from samar.optim.second_pass import SecondPass
from samar.optim.two_pass import TwoPassOptimizer
from samar.optim.validation import checked_number


class VaSSO(TwoPassOptimizer):
    r"""Variance-Suppressed Sharpness-aware Optimization around a base optimizer.

    .. math::
        m_k = (1-\theta)\, m_{k-1} + \theta\, g_k, \qquad
        \epsilon_k = \rho \, \frac{m_k}{\lVert m_k \rVert}, \qquad
        d_k = \nabla f(x_k + \epsilon_k; \xi_k)

    m_k is saved in `state_dict`. Weight decay enters in the base step, not in the perturbation.
    Beyond weights and gradients it holds two buffers the size of the parameters: the saved weights
    and m_k, which keeps the gradient of a step that `restore` drops.

    Args:
        params: Parameters, or groups that may set their own `rho`, `theta` and `adaptive`.
        base: Class of the base optimizer.
        rho: Radius ρ ≥ 0.
        theta: Weight θ of the new gradient, in [0, 1]; smaller suppresses more noise.
        adaptive: Whether to scale the perturbation by |x|, as in ASAM.
        second_pass: When the second gradient is taken; at every step unless told otherwise.
        model: Network whose BatchNorm statistics must not move in the second pass.
        **base_kwargs: Arguments of `base`, such as `lr`.

    Raises:
        ValueError: If ρ is negative or θ outside [0, 1].
        TypeError: If `base` is not an optimizer class.

    Reference:
        Li & Giannakis, NeurIPS 2023, arXiv 2309.15639.
    """

    def __init__(
        self,
        params: ParamsT,
        base: type[Optimizer] = torch.optim.SGD,
        *,
        rho: float = RHO,
        theta: float = THETA,
        adaptive: bool = False,
        second_pass: SecondPass | None = None,
        model: nn.Module | None = None,
        **base_kwargs: Any,
    ) -> None:
        defaults = {"rho": rho, "theta": theta, "adaptive": adaptive}
        super().__init__(params, base, model, defaults, base_kwargs, second_pass)

    @property
    def local_perturbation(self) -> bool:
        """Never: m_k is one average for all processes."""
        return False

    @local_perturbation.setter
    def local_perturbation(self, local: bool) -> None:
        if local:
            raise ValueError("VaSSO averages the gradient of all processes; perturb globally")

    def _check_group(self, group: dict[str, Any]) -> None:
        super()._check_group(group)
        checked_number("theta", group["theta"], 0.0, 1.0)

    def _ascent(self, part: Part) -> list[Tensor]:
        return self._averaged(part.weights, part.grads, part.group["theta"])

    def _pass_over(self) -> None:
        """m_k follows the gradients of every step."""
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if weights:
                self._averaged(weights, [p.grad for p in weights], group["theta"])

    def _averaged(self, weights: list[Tensor], grads: list[Tensor], theta: float) -> list[Tensor]:
        for p, g in zip(weights, grads, strict=True):
            if p not in self.state:
                self.state[p] = {"average": g.clone()}
        averages: list[Tensor] = [self.state[p]["average"] for p in weights]
        torch._foreach_lerp_(averages, grads, weight=theta)
        return averages
