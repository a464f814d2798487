"""Where in the network the curvature sits: trace and top eigenvalue of every layer's block.

The block of a layer is the Hessian with all other weights held fixed. Its top eigenvalue is at most
the whole network's (Cauchy's interlacing theorem); how far below says how much the layers curve
together. It is computed on the block itself, whose products skip the derivatives of all other
layers.
"""

from collections.abc import Callable

from torch import nn

from samar.curvature.catalog import MAX_PRODUCTS
from samar.curvature.product import CurvatureMatrix, Hessian, OnBatch, operator_of
from samar.curvature.result import Layer, Trace
from samar.curvature.solvers.eigenvalues import top_of
from samar.data.objective import Objective


def layer_curvature(
    model: nn.Module,
    sample: Objective,
    trace: Trace,
    *,
    matrix: type[CurvatureMatrix] = Hessian,
    tol: float = 1e-2,
    seed: int = 0,
    batch_size: int | None = None,
    on_layer: Callable[[int, int], None] | None = None,
    on_batch: OnBatch | None = None,
) -> tuple[Layer, ...]:
    """Measure every layer that has trainable parameters of its own, in the network's order.

    Args:
        model: left as it was.
        sample: the images.
        trace: of the same model, images and matrix.
        matrix: whose blocks.
        tol: of each eigenvalue, relative.
        seed: of the start vectors.
        batch_size: images per pass, what suits the device if None.
        on_layer: called with the layers done and their number; may raise to cancel.
        on_batch: see :data:`samar.curvature.product.OnBatch`.
    """
    found: list[Layer] = []
    with operator_of(matrix, model, sample, batch_size=batch_size, on_batch=on_batch) as whole:
        names = {layer: whole.parameters_of(layer) for layer in whole.layers}
    for layer, members in names.items():
        with operator_of(
            matrix, model, sample, batch_size=batch_size, only=members, on_batch=on_batch
        ) as block:
            most = min(MAX_PRODUCTS, len(block))
            top = top_of(block, k=1, tol=tol, max_products=most, seed=seed)
            found.append(
                Layer(
                    name=layer,
                    parameters=len(block),
                    trace=trace.layers[layer].value,
                    trace_error=trace.layers[layer].error,
                    eigenvalue=top.values[0],
                    residual=top.residuals[0],
                    products=top.products,
                    converged=top.converged,
                )
            )
        if on_layer:
            on_layer(len(found), len(names))
    return tuple(found)
