"""λ rules: how SAMAR's regularization strength follows the sharpness ratio.

What is the paper's (Zou, Deng & Sun 2024, arXiv 2412.16854): the ratio

    r_k = |f(x_k + ε_k) − f(x_k)| / |f(x_{k−1} + ε_{k−1}) − f(x_{k−1})|

and its direction: a ratio clearly above 1 raises λ, one below 1 lowers it. What is not: every
formula in this file. The paper gives none in what we could read of it; these are ours.

A rule is a frozen dataclass without state; SAMAR keeps λ and the averages, and asks the rule only
where there is a ratio. The maths runs on 0-dim tensors only, so a step never waits for the device.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from samar.optim.catalog import RULES
from samar.optim.validation import build_named, check_constants, default_of


@dataclass(frozen=True)
class LambdaRule(ABC):
    """Turns λ_k and what was measured into λ_{k+1}, before SAMAR clips it to [λ_min, λ_max].

    A subclass is a frozen dataclass whose fields are its constants; those of a rule listed in
    `catalog.RULES` are checked against the ranges given there.
    """

    name: ClassVar[str]
    needs_loss: ClassVar[bool] = False
    """Whether it uses the share, and with it the loss."""

    def __post_init__(self) -> None:
        check_constants(self, RULES)

    @property
    def reference_rate(self) -> float:
        """α in ref ← ref + α (s_k − ref), the sharpness that s_{k+1} is compared with.

        1 is the previous step, the paper's ratio; a small α is a slow trend.
        """
        return 1.0

    @property
    def even_start(self) -> bool:
        """Whether the reference is the plain mean of all s so far until that is 1/α steps long.

        Otherwise it starts at the first step's sharpness, one noisy mini-batch, and is slow to
        forget it.
        """
        return False

    @abstractmethod
    def update(self, lam: Tensor, ratio: Tensor, share: Tensor) -> Tensor:
        """Return λ_{k+1}.

        Args:
            lam: λ_k, 0-dim.
            ratio: r_k, 0-dim, positive and finite; for a rule that needs the loss, NaN at first.
            share: s̄_k / (f̄_k + s̄_k), 0-dim, in [0, 1]: how much of the worst-case loss f(x + ε)
                is sharpness, both averaged alike; NaN for a rule that does not need the loss.
        """


@dataclass(frozen=True)
class Share(LambdaRule):
    """c s̄/(f̄ + s̄): a multiple of the share of the worst-case loss that is sharpness.

    Ours, and the paper's ratio seen against that of the losses: λ_{k+1} = λ_k r_k / (f_k / f_{k−1})
    telescopes to a multiple of s_k / f_k, of which this is the bounded form. It needs no start, no
    memory and no unit: the share lies in [0, 1] for any network, loss and ρ. It is small while
    there is everything to learn, and grows when the loss falls faster than the sharpness, late in
    training, or when the learning by heart of wrong labels begins.

    Args:
        scale: c ≥ 0.

    Raises:
        ValueError: If c is outside its range in `catalog.RULES`.
    """

    name: ClassVar[str] = "share"
    needs_loss: ClassVar[bool] = True
    scale: float = default_of("scale")

    def update(self, lam: Tensor, ratio: Tensor, share: Tensor) -> Tensor:
        """c times the share."""
        return share * self.scale


@dataclass(frozen=True)
class DeadBand(LambdaRule):
    """λ·up if r > 1 + τ; λ/down if r < 1 − τ; else λ.

    The ratio and its direction are the paper's; this formula is ours, with a band for "clearly",
    in the manner of a trust region.

    Args:
        tau: Half-width τ of the band in which λ stays, in [0, 1).
        up: Factor ≥ 1 by which λ rises.
        down: Divisor ≥ 1 by which λ falls. A smaller `down` than `up` keeps λ from following a
            sharpness that falls throughout training.

    Raises:
        ValueError: If a constant is outside its range in `catalog.RULES`.
    """

    name: ClassVar[str] = "dead_band"
    tau: float = default_of("tau")
    up: float = default_of("up")
    down: float = default_of("down")

    def update(self, lam: Tensor, ratio: Tensor, share: Tensor) -> Tensor:
        """One table look-up: no branch on a value, no wait for the device."""
        edges, factors = _dead_band(self.tau, self.up, self.down, ratio.dtype, ratio.device)
        return lam * torch.take(factors, torch.bucketize(ratio, edges))


@dataclass(frozen=True)
class Trend(DeadBand):
    """The dead band, with the sharpness compared to its slow average over `memory` steps.

    The ratio to the previous step and its direction are the paper's; both the slow reference and
    the formula are ours. The previous step's sharpness is as noisy as the present one's, so
    a lasting rise of 1 % a step hides in their ratio, but not in the ratio to a trend.

    Args:
        tau: As in `DeadBand`.
        up: As in `DeadBand`.
        down: As in `DeadBand`.
        memory: Steps M ≥ 1; α = 1/M.

    Raises:
        ValueError: If a constant is outside its range in `catalog.RULES`.
    """

    name: ClassVar[str] = "trend"
    memory: float = default_of("memory")

    @property
    def reference_rate(self) -> float:
        """1/M."""
        return 1.0 / self.memory


@dataclass(frozen=True)
class TrendPower(LambdaRule):
    """λ·r^ν, with the sharpness compared to its slow average s̄ over `memory` steps.

    The ratio to the previous step and its direction are the paper's; the slow reference and the
    formula are ours. Since s̄ gains (s − s̄)/M a step, log λ gains about νM times what log s̄
    gains: between the bounds λ follows s̄^{νM}, and a bound that was hit becomes the new start. A
    growing sharpness therefore meets a λ that grows νM times as fast, until it grows no more. Up
    and down weigh the same, so mini-batch noise alone moves λ nowhere; a dead band whose steps
    differ does not have that property.

    Args:
        gain: ν ≥ 0.
        memory: Steps M ≥ 1.

    Raises:
        ValueError: If a constant is outside its range in `catalog.RULES`.
    """

    name: ClassVar[str] = "trend_power"
    gain: float = default_of("gain")
    memory: float = default_of("memory")

    @property
    def reference_rate(self) -> float:
        """1/M."""
        return 1.0 / self.memory

    @property
    def even_start(self) -> bool:
        """Yes: what λ is measured from must not be one mini-batch."""
        return True

    def update(self, lam: Tensor, ratio: Tensor, share: Tensor) -> Tensor:
        """λ·r^ν."""
        return lam * ratio.pow(self.gain)


@dataclass(frozen=True)
class Power(LambdaRule):
    """λ·r^γ.

    The ratio and its direction are the paper's; this formula is ours. It telescopes to
    λ_0 (s_k / s_0)^γ until a bound is hit.

    Args:
        gamma: Exponent γ ≥ 0.

    Raises:
        ValueError: If γ is outside its range in `catalog.RULES`.
    """

    name: ClassVar[str] = "power"
    gamma: float = default_of("gamma")

    def update(self, lam: Tensor, ratio: Tensor, share: Tensor) -> Tensor:
        """λ·r^γ."""
        return lam * ratio.pow(self.gamma)


@dataclass(frozen=True)
class Additive(LambdaRule):
    """λ + δ·sign(r − 1).

    The ratio and its direction are the paper's; this formula is ours.

    Args:
        delta: Step δ ≥ 0.

    Raises:
        ValueError: If δ is outside its range in `catalog.RULES`.
    """

    name: ClassVar[str] = "additive"
    delta: float = default_of("delta")

    def update(self, lam: Tensor, ratio: Tensor, share: Tensor) -> Tensor:
        """λ + δ·sign(r − 1)."""
        return lam + self.delta * torch.sign(ratio - 1.0)


@dataclass(frozen=True)
class Fixed(LambdaRule):
    """λ as it is: SAMAR without its adaptivity.

    With a second gradient at every step λ = 1 is SAM; λ = 0 is the base optimizer.
    """

    name: ClassVar[str] = "fixed"

    def update(self, lam: Tensor, ratio: Tensor, share: Tensor) -> Tensor:
        """λ."""
        return lam


RULE_TYPES: dict[str, type[LambdaRule]] = {
    kind.name: kind for kind in (Share, DeadBand, Trend, TrendPower, Power, Additive, Fixed)
}


def build_rule(name: str, **constants: float) -> LambdaRule:
    """Build a λ rule from its name in `catalog.RULES`; constants left out keep their defaults.

    Raises:
        ValueError: If the rule or a constant is unknown, or a constant is out of range.

    Example:
        >>> build_rule("dead_band", tau=0.2)
        DeadBand(tau=0.2, up=1.05, down=1.02)
    """
    return build_named(
        RULE_TYPES,
        name,
        constants,
        f"unknown λ rule {name!r}",
        f"the λ rule {name!r}",
    )


@lru_cache(maxsize=64)
def _dead_band(
    tau: float, up: float, down: float, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Edges and factors of (−∞, 1−τ), [1−τ, 1+τ] and (1+τ, ∞)."""
    low = torch.nextafter(torch.tensor(1.0 - tau, dtype=dtype), torch.tensor(0.0, dtype=dtype))
    edges = torch.tensor([float(low), 1.0 + tau], dtype=dtype)
    factors = torch.tensor([1.0 / down, 1.0, up], dtype=dtype)
    return edges.to(device, non_blocking=True), factors.to(device, non_blocking=True)
