r"""Where a run went: the plane that follows its weights best, and the run seen from a plane.

With snapshots θ_1 … θ_n, the rows θ_i − θ_n form a matrix M whose two leading right singular
vectors span the plane (orthonormal axes, unscaled). It passes through the final weights and is,
among all such planes, the one with the smallest sum of squared distances to the snapshots. The
share explained by axis j is σ_j² / Σ σ². M is never decomposed: the n × n matrix M Mᵀ, in
float64, has the same singular values.

A path drawn in a plane lies above or below it. So each snapshot comes with its distance to the
plane and its own loss, not that of the plane's point under it. High shares are no discovery: those
of a random walk in many dimensions are high too (Antognini and Sohl-Dickstein 2018).

Departure: where the original's code prints no distances, this does.

Reference:
    Li et al., arXiv 1712.09913, section 7.2; Antognini, Sohl-Dickstein, arXiv 1806.08805.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from samar.device.precision import exact
from samar.device.waiting import on_host
from samar.landscapes.evaluator import Evaluator
from samar.landscapes.frame import Frame, State, parameters_in, weights_of
from samar.landscapes.result import Trail


def pca_frame(model: nn.Module, snapshots: Sequence[State], *, dim: int = 2) -> Frame:
    """The main directions of a path that ends at the model's weights.

    Args:
        snapshots: earlier ``state_dict``s of the run, in order, at least ``dim`` distinct ones.

    Raises:
        ValueError: the path does not span ``dim`` directions.
    """
    origin = weights_of(model)
    offsets = [
        torch.cat([(exact(t) - exact(o)).flatten() for t, o in zip(p, origin, strict=True)])
        for p in (parameters_in(model, state) for state in snapshots)
    ]
    gram = np.array([[on_host(a @ b).item() for b in offsets] for a in offsets])
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    if len(values) < dim or not values[dim - 1] > 1e-12 * max(values[0], 1e-30):
        raise ValueError(
            f"the snapshots must span {dim} directions, got {len(offsets)} snapshots that do not; "
            "give more, from different moments of a run."
        )
    axes = []
    for j in range(dim):
        flat = sum(float(v) * o for v, o in zip(vectors[:, j], offsets, strict=True))
        pieces = (flat / values[j] ** 0.5).split([t.numel() for t in origin])
        axes.append(tuple(p.view_as(t).to(t) for p, t in zip(pieces, origin, strict=True)))
    explained = (values[:dim] / values.sum()).tolist()
    labels = tuple(f"main direction {j + 1} ({share:.1%})" for j, share in enumerate(explained))
    return Frame(origin, tuple(axes), labels, {"directions": "pca", "explained": explained})


def trail(
    frame: Frame, evaluator: Evaluator, model: nn.Module, named: Sequence[tuple[str, State]]
) -> Trail:
    """Project networks onto a plane, and measure the loss of each as it is."""
    places = [frame.project(parameters_in(model, state)) for _, state in named]
    values = [evaluator.own(state) for _, state in named]
    return Trail(
        coordinates=np.array([coordinates for coordinates, _ in places]),
        off_plane=np.array([distance for _, distance in places]),
        loss=np.array([value.loss for value in values]),
        accuracy=np.array([value.accuracy for value in values]),
        names=tuple(name for name, _ in named),
    )
