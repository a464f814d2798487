"""The optimizers of ``samar.optim`` on a loss of two parameters, every step recorded.

Nothing is implemented twice: SGD, SAM, VaSSO and SAMAR are the classes that train networks, built
by ``optimizer_of`` on a module with one float64 parameter of shape (2,).

A step's mini-batch is a random tilt: f_k(x) = f(x) + σ ξ_k·x with ξ_k ~ N(0, I), drawn once from
the seed, the same for all optimizers and for both passes of a step.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from samar.optim.factory import optimizer_of
from samar.optim.samar import SAMAR
from samar.optim.second_pass import EveryStep
from samar.optim.two_pass import TwoPassOptimizer
from samar.playground.catalog import LANDSCAPES
from samar.playground.losses import Loss, build_loss
from samar.playground.paths import Path
from samar.playground.settings import PlaygroundSettings

FAR = 10.0
"""A point this many widths of the plane from the middle counts as diverged."""


def descend(settings: PlaygroundSettings) -> dict[str, Path]:
    """Let every chosen optimizer descend from the start; keys are the optimizers' names."""
    return {name: descend_with(settings, name) for name in settings.optimizers}


class _Point(nn.Module):
    """A network of two weights."""

    def __init__(self, x: float, y: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([x, y], dtype=torch.float64))


def descend_with(settings: PlaygroundSettings, name: str) -> Path:
    """One optimizer's path, whether or not the settings name it."""
    loss, point = build_loss(settings), _Point(*settings.start)
    optimizer = optimizer_of(settings, point, name)
    if isinstance(optimizer, TwoPassOptimizer) and name != settings.optimizer:
        optimizer.second_pass = EveryStep()
    random = np.random.default_rng(settings.seed)
    tilts = settings.noise * random.standard_normal((settings.steps, 2))
    record = _Record(loss, point.weight, settings)
    with np.errstate(over="ignore", invalid="ignore"):
        for step, (tilt_x, tilt_y) in enumerate(tilts.tolist()):
            first = record.measure(tilt_x, tilt_y)
            values: tuple[float, ...] = (np.nan,) * 6
            if isinstance(optimizer, TwoPassOptimizer):
                optimizer.progress = step / settings.steps
            if not isinstance(optimizer, TwoPassOptimizer):
                optimizer.step()
            elif not optimizer.wants_second_pass():
                optimizer.plain_step(first.tensor)
            else:
                optimizer.first_step()
                second = record.measure(tilt_x, tilt_y)
                optimizer.second_step(first.tensor, second.tensor)
                values = (*second.at, *second.slope, second.plain, optimizer.sharpness.item())
            lams = (np.nan, np.nan)
            if isinstance(optimizer, SAMAR):
                lams = (optimizer.lam_used.item(), optimizer.ratio.item())
            if not record.keep(first, values, lams):
                break
    return record.path(name)


@dataclass(frozen=True)
class _Evaluation:
    """The loss at one point: where, f without noise, f_k, and ∇f_k."""

    at: tuple[float, float]
    plain: float
    tensor: Tensor
    slope: tuple[float, float]


class _Record:
    def __init__(self, loss: Loss, weight: nn.Parameter, settings: PlaygroundSettings) -> None:
        self.loss, self.weight = loss, weight
        info = LANDSCAPES[settings.landscape]
        self.middle = (sum(info.x_range) / 2, sum(info.y_range) / 2)
        self.reach = FAR * (info.x_range[1] - info.x_range[0])
        self.rows: list[tuple[float, ...]] = []
        self.places = [settings.start]
        self.diverged = False

    def measure(self, tilt_x: float, tilt_y: float) -> _Evaluation:
        """Evaluate the mini-batch's loss at the weights and leave its gradient in `grad`."""
        x, y = self.weight.tolist()
        down_x, down_y = self.loss.gradient(x, y)
        slope = (float(down_x) + tilt_x, float(down_y) + tilt_y)
        self.weight.grad = torch.tensor(slope, dtype=torch.float64)
        plain = float(self.loss.value(x, y))
        noisy = torch.tensor(plain + tilt_x * x + tilt_y * y, dtype=torch.float64)
        return _Evaluation((x, y), plain, noisy, slope)

    def keep(self, first: _Evaluation, values: tuple[float, ...], lams: tuple[float, ...]) -> bool:
        """Append a step; False if it left for infinity, which is not kept."""
        x, y = self.weight.tolist()
        away = max(abs(x - self.middle[0]), abs(y - self.middle[1]))
        if not away <= self.reach:  # also if NaN
            self.diverged = True
            return False
        step: list[float] = self.weight.grad.tolist()  # type: ignore[union-attr]
        self.rows.append((*first.slope, *values, *step, *lams))
        self.places.append((x, y))
        return True

    def path(self, name: str) -> Path:
        rows = np.array(self.rows, dtype=np.float64).reshape(len(self.rows), 12)
        positions = np.array(self.places, dtype=np.float64)
        return Path(
            optimizer=name,
            positions=positions,
            loss=np.asarray(self.loss.value(positions[:, 0], positions[:, 1])),
            gradients=rows[:, 0:2],
            perturbations=rows[:, 2:4] - positions[:-1],
            perturbed_gradients=rows[:, 4:6],
            perturbed_loss=rows[:, 6],
            sharpness=rows[:, 7],
            directions=rows[:, 8:10],
            lam=rows[:, 10],
            ratio=rows[:, 11],
            diverged=self.diverged,
            curvatures=np.array(self.loss.curvatures(*self.places[-1])),
        )
