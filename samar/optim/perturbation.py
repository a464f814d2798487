"""The ascent step ε = ρ T²v / ‖Tv‖ over lists of tensors, with few dispatched operations.

Norms are global L2 norms over all tensors. T = I gives ε = ρ v / ‖v‖ (Foret et al. 2021, SAM);
T = diag(|w|) makes the step invariant to rescaling the weights (Kwon et al. 2021, ASAM).

Departure: the ASAM paper adds η to T for stability, and its code uses |w| + 0.01 for tensors named
"weight" and T = I for the others. Here T = |w| without η for every tensor, as in
pytorch-optimizer, so a weight that is exactly zero is not perturbed.
"""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from samar.device.placement import is_gpu

# ‖Tv‖ is raised to this before the division, so that a zero gradient gives ε = 0 and not 0/0.
TINY = 1e-12

NO_GRADIENT = (
    "no parameter has a gradient after the first pass; call loss.backward() in it, "
    "and leave at least one parameter with requires_grad=True"
)
SPARSE = "a gradient is sparse, which has no norm; build its layer with sparse=False"


@dataclass
class Part:
    """One parameter group's share of a step: the parameters that got a gradient in pass one."""

    group: dict[str, Any]
    weights: list[Tensor]
    grads: list[Tensor]
    saved: list[Tensor]


def gradients_of(param_groups: list[dict[str, Any]]) -> list[Tensor]:
    """Every gradient that there is.

    Raises:
        RuntimeError: If there is none at all, or one is sparse.
    """
    grads = [p.grad for group in param_groups for p in group["params"] if p.grad is not None]
    if not grads:
        raise RuntimeError(NO_GRADIENT)
    if any(grad.layout != torch.strided for grad in grads):
        raise RuntimeError(SPARSE)
    return grads


def take_gradients(param_groups: list[dict[str, Any]], buffers: dict[Tensor, Tensor]) -> list[Part]:
    """Move every gradient out of `p.grad`, which is None afterwards, into the parts of a step.

    Args:
        param_groups: Groups without any gradient give no part.
        buffers: Where weights can be saved; those that are missing or do not fit are made.

    Raises:
        RuntimeError: If there is no gradient at all, or one is sparse.
    """
    gradients_of(param_groups)
    parts = []
    for group in param_groups:
        weights = [p for p in group["params"] if p.grad is not None]
        if not weights:
            continue
        for p in weights:
            if not _fits(buffers.get(p), p):
                buffers[p] = torch.empty_like(p)
        grads = [p.grad for p in weights]
        parts.append(Part(group, weights, grads, [buffers[p] for p in weights]))
        for p in weights:
            p.grad = None
    return parts


def _fits(buffer: Tensor | None, p: Tensor) -> bool:
    """Whether the values of `p`, which may have been converted since, can be kept as they are."""
    if buffer is None:
        return False
    return (buffer.dtype, buffer.device, buffer.shape) == (p.dtype, p.device, p.shape)


def perturb_(parts: list[Part], ascent: list[list[Tensor]]) -> tuple[Tensor, Tensor]:
    """Move the weights to w + ρ T²v / ‖Tv‖ in place; gradients and v are left as they are.

    Args:
        parts: Each with its own `rho` and `adaptive` (T = |w| if true, else I) in `group`.
        ascent: v, one list per part; often the part's own gradients.

    Returns:
        ‖g‖ and ‖Tv‖, 0-dim.
    """
    # ‖|w|·v‖ = ‖w·v‖ and |w|²v = w·(w·v), so the absolute value is never needed.
    scaled = [
        list(torch._foreach_mul(v, part.weights)) if part.group["adaptive"] else v
        for part, v in zip(parts, ascent, strict=True)
    ]
    grads = list(chain.from_iterable(part.grads for part in parts))
    followed = list(chain.from_iterable(scaled))
    if all(a is b for a, b in zip(grads, followed, strict=True)):
        grad_norm = ascent_norm = global_norms(grads)[0]
    else:
        grad_norm, ascent_norm = global_norms(grads, followed)
    divisor = ascent_norm.clamp(min=TINY)
    for part, v in zip(parts, scaled, strict=True):
        if part.group["adaptive"]:
            torch._foreach_mul_(v, part.weights)
        _add_quotient_(part.weights, v, divisor, part.group["rho"])
    return grad_norm, ascent_norm


def measuring_dtype(tensors: list[Tensor]) -> torch.dtype:
    """The widest dtype among the tensors, at least float32: what norms and losses are kept in."""
    widest = max((t.dtype for t in tensors), key=lambda dtype: dtype.itemsize)
    return widest if widest.itemsize >= 4 else torch.float32


def global_norms(*lists: list[Tensor]) -> list[Tensor]:
    """L2 norm of each list taken as one long vector, 0-dim; half precision sums in float32."""
    tensors = list(chain(*lists))
    norms = iter(torch._foreach_norm(tensors, 2, dtype=measuring_dtype(tensors)))
    return [torch.linalg.vector_norm(torch.stack([next(norms) for _ in part])) for part in lists]


def _add_quotient_(weights: list[Tensor], v: list[Tensor], divisor: Tensor, rho: float) -> None:
    """weights ← weights + ρ v / divisor.

    On a CPU one pass with a broadcast divisor does it; a temporary the size of the weights would
    cost several times as much in page faults. On a GPU a broadcast operand falls out of the
    multi-tensor kernel into one launch per tensor, and a temporary is cheap.
    """
    if is_gpu(divisor.device):
        torch._foreach_add_(weights, torch._foreach_div(v, divisor), alpha=rho)
    else:
        torch._foreach_addcdiv_(weights, v, [divisor] * len(weights), value=rho)
