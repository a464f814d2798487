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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from samar.connectivity.curve import coefficients, point
from samar.device.waiting import on_host
from samar.errors import ConfigError
from samar.landscapes.frame import Weights
from samar.optim.schedule import lr_factor

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


class BendTraining:
    """Trains the bend of a curve, from the middle between its ends.

    Args:
        model: says what is computed; copied, never changed.
        first, second: the ends, one tensor per parameter.
        curve: ``bezier`` or ``chain``.
        batch: gives each step its inputs and labels.
        steps: of SGD with momentum.
        lr: learning rate of the first step.
        seed: of the places on the curve, and of dropout.

    Raises:
        ConfigError: the curve has no bend.
    """

    def __init__(
        self,
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
    ) -> None:
        if coefficients(curve, 0.5)[1] == 0:
            raise ConfigError(f"The curve {curve!r} has no bend to train; choose bezier or chain.")
        self._network = copy.deepcopy(model).train().requires_grad_(False)
        self._names = [name for name, _ in model.named_parameters()]
        self._first, self._second, self._curve, self._batch = first, second, curve, batch
        self._steps, self._lr, self._seed = steps, lr, seed
        self._t = np.random.default_rng(seed).random(steps)
        self._bend = [((a + b) / 2).requires_grad_() for a, b in zip(first, second, strict=True)]
        self._optimizer = torch.optim.SGD(self._bend, lr=lr, momentum=momentum)
        self._losses: list[Tensor] = []

    @property
    def done(self) -> int:
        """Steps taken."""
        return len(self._losses)

    @property
    def bend(self) -> Bend:
        """As it is by now; a copy."""
        losses = torch.stack(self._losses) if self._losses else torch.empty(0)
        weights = tuple(weight.detach().clone() for weight in self._bend)
        return Bend(weights, self._t[: self.done], on_host(losses).double().numpy())

    def run(self, before_step: Callable[[], None] = lambda: None) -> Bend:
        """Take the steps that are left; each calls ``before_step``, which may raise to cancel.

        Raises:
            ConfigError: the loss is not finite any more.
        """
        while self.done < self._steps:
            before_step()
            self.step()
        return self.bend

    def step(self) -> None:
        """Take one step, whose dropout depends on nothing but the seed and its number.

        Raises:
            ConfigError: the loss is not finite any more.
        """
        step = self.done
        torch.manual_seed(hash((self._seed, step)))
        self._optimizer.param_groups[0]["lr"] = self._lr * lr_factor("cosine", step, self._steps)
        x, y = self._batch(step)
        weights = point(self._curve, float(self._t[step]), self._first, self._bend, self._second)
        named = dict(zip(self._names, weights, strict=True))
        loss = F.cross_entropy(functional_call(self._network, named, x), y)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._losses.append(loss.detach())
        looks = step % LOOK_EVERY == 0 or step == self._steps - 1
        if looks and not np.isfinite(found := float(on_host(loss.detach()))):
            raise ConfigError(
                f"The loss on the curve is {found} after {step + 1} steps; train the bend with a "
                f"smaller learning rate than {self._lr:g}."
            )

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` goes on from, bit for bit."""
        return {
            "step": self.done,
            "bend": [weight.detach() for weight in self._bend],
            "optimizer": self._optimizer.state_dict(),
            "losses": list(self._losses),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another training of the same bend was."""
        for weight, saved in zip(self._bend, state["bend"], strict=True):
            weight.data.copy_(saved)
        self._optimizer.load_state_dict(state["optimizer"])
        self._losses = [loss.to(self._bend[0].device) for loss in state["losses"]]
