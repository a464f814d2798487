r"""Training the bend w of a curve, so that the loss is low all along it.

    minimize over w    E_{t ~ U(0, 1)} L(θ_w(t))

One step draws t, takes a mini-batch and follows ∂L(θ(t))/∂w = c_w(t) ∇L(θ(t)), where c_w is the
bend's coefficient on the curve. The ends stay as they are. BatchNorm normalizes by the batch, as in
training, since statistics collected elsewhere do not belong to θ(t).

Departures: the paper's learning rate stays for half of the training and then falls linearly; here
it falls along a cosine. There is no weight decay.

Reference:
    Garipov et al., arXiv 1802.10026, section 3.1, equation 2 and algorithm 1.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from samar.connectivity.curve import coefficients, point
from samar.device.waiting import on_host
from samar.errors import ConfigError
from samar.landscapes.directions import Weights
from samar.training.schedule import lr_factor

Batch = Callable[[int], tuple[Tensor, Tensor]]
"""Inputs and labels of a step, counted from 0."""
MOMENTUM = 0.9
LOOK_EVERY = 25
"""Steps between two looks whether the loss is finite, each of which waits for the device."""


@dataclass(frozen=True, eq=False)
class Bend:
    """A trained bend.

    Attributes:
        weights: w, one tensor per parameter of the network.
        t: (steps,) the place of each step on the curve.
        loss: (steps,) of its mini-batch there, before the step.
    """

    weights: Weights
    t: npt.NDArray[np.float64]
    loss: npt.NDArray[np.float64]


def train_bend(
    model: nn.Module,
    first: Sequence[Tensor],
    second: Sequence[Tensor],
    curve: str,
    batch: Batch,
    *,
    steps: int,
    lr: float,
    seed: int = 0,
    momentum: float = MOMENTUM,
    progress: Callable[[int, float], None] = lambda done, loss: None,
) -> Bend:
    """Train the bend of a curve, from the middle between its ends.

    Args:
        model: says what is computed; copied, never changed.
        first, second: the ends, one tensor per parameter.
        curve: ``bezier`` or ``chain``.
        batch: gives each step its inputs and labels.
        steps: of SGD with momentum.
        lr: learning rate of the first step.
        seed: of the places on the curve, and of dropout.
        progress: called before every step with the steps done and the newest loss that is known
            (NaN at first); may raise to cancel.

    Raises:
        ConfigError: the loss is not finite any more, or the curve has no bend.
    """
    if coefficients(curve, 0.5)[1] == 0:
        raise ConfigError(f"The curve {curve!r} has no bend to train; choose bezier or chain.")
    network = copy.deepcopy(model).train().requires_grad_(False)
    names = [name for name, _ in network.named_parameters()]
    places = np.random.default_rng(seed).random(steps)
    bend = [((a + b) / 2).requires_grad_() for a, b in zip(first, second, strict=True)]
    optimizer = torch.optim.SGD(bend, lr=lr, momentum=momentum)
    losses: list[Tensor] = []
    newest = float("nan")
    for step, t in enumerate(places.tolist()):
        progress(step, newest)
        optimizer.param_groups[0]["lr"] = lr * lr_factor("cosine", step, steps)
        x, y = batch(step)
        weights = point(curve, t, first, bend, second)
        loss = F.cross_entropy(
            functional_call(network, dict(zip(names, weights, strict=True)), x), y
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if step % LOOK_EVERY == 0 or step == steps - 1:
            newest = float(on_host(losses[-1]))
            if not np.isfinite(newest):
                raise ConfigError(
                    f"The loss on the curve is {newest} after {step + 1} steps; train the bend "
                    f"with a smaller learning rate than {lr:g}."
                )
    found = tuple(weight.detach() for weight in bend)
    return Bend(found, places, on_host(torch.stack(losses)).double().numpy())
