"""SAMAR: SAM whose regularization strength λ follows the sharpness it measures.

Zou, Deng, Sun, "Sharpness-Aware Minimization with Adaptive Regularization for Training Deep Neural
Networks", ICASSP 2025, arXiv 2412.16854. With R(x) = max_{‖ε‖ ≤ ρ} f(x + ε) − f(x):

    min_x f(x) + λ R(x),    ε_k = ρ g_k / ‖g_k‖
    d_k = (1 − λ_k) g(x_k) + λ_k g(x_k + ε_k)               both on the same mini-batch
    r_k = |f(x_k + ε_k) − f(x_k)| / |f(x_{k−1} + ε_{k−1}) − f(x_{k−1})|
    λ_{k+1} = rule(λ_k, r_k, …), clipped to [λ_min, λ_max]

The ratio r_k and its direction (clearly above 1 raises λ, below 1 lowers it) are the paper's. It
gives no formula for λ_{k+1} in what we could read; this one, its constants, its bounds and the
first λ are ours: see `samar.optim.rules`. Also ours: leaving out second gradients that are not
worth their price, see `samar.optim.second_pass`; an exponential average of sharpness and loss
before they are compared (β; 0 switches it off); and, off by default, ASAM's scaling of ε. The
defaults come from the study in `examples/study`.
"""

import math
from dataclasses import asdict
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from samar.device.waiting import HostReading, on_host
from samar.optim.catalog import BETA, LAM, LAM_MAX, LAM_MIN, RHO
from samar.optim.perturbation import Part
from samar.optim.rules import RULE_TYPES, LambdaRule, TrendPower
from samar.optim.second_pass import MEASURE, TAKE, Dither, SecondPass
from samar.optim.two_pass import TwoPassOptimizer
from samar.optim.validation import checked_number

LEAST = 1e-12
"""A sharpness below this counts as this, so that a ratio is always positive and finite."""


class SAMAR(TwoPassOptimizer):
    r"""Sharpness-Aware Minimization with Adaptive Regularization around a base optimizer.

    .. math::
        d_k = (1-\lambda_k)\, \nabla f(x_k) + \lambda_k\, \nabla f(x_k + \epsilon_k), \qquad
        \epsilon_k = \rho \, \frac{g_k}{\lVert g_k \rVert}

    λ = 0 is the base optimizer and, with a second gradient at every step, λ = 1 is SAM, both bit
    for bit; λ may exceed 1. By default λ says how often the second gradient is taken, see
    `samar.optim.second_pass.Dither`. The ratio of
    successive sharpness values and its direction are the paper's; it gives no formula for λ in what
    we could read, so that of the `rule` is ours. Weight decay enters in the base step at the
    restored weights, not in the perturbation. Beyond weights and gradients it holds two buffers the
    size of the parameters: the saved weights and the first gradients.

    After a step, besides the base class's attributes, as 0-dim tensors: `lam_used` λ_k, `ratio`
    r_k, NaN before there are two, and `lam` λ_{k+1}. A loss that is not finite counts as the
    average so far; the averages begin with the first sharpness above 0, and λ stays until then. A
    step without a second gradient carries all of them on; `gradients` is then 1. So does one in
    which ρ is 0 for every group, as nothing is measured; any other change of ρ is read as a change
    of sharpness.
    `rule`, `beta` and `second_pass` may be assigned between steps, the bounds through `set_bounds`;
    `hold` keeps λ at a value.

    Args:
        params: Parameters, or groups that may set their own `rho` and `adaptive`.
        base: Class of the base optimizer.
        rho: Radius ρ ≥ 0.
        adaptive: Whether to scale the perturbation by |x|, as in ASAM.
        rule: How λ follows what was measured; the trend with its power law by default.
        lam: λ_0, within the bounds.
        lam_min: Lower bound, ≥ 0.
        lam_max: Upper bound.
        beta: β in [0, 1) of the averages s̄_k = β s̄_{k−1} + (1 − β) s_k, and of f_k alike, over
            the steps that measure; 0 takes them as they are.
        sharpness: "exact" is f(x_k + ε_k) − f(x_k); "first_order" is ⟨g_k, ε_k⟩ = ρ‖T g_k‖, which
            needs one ρ for all groups.
        second_pass: When the second gradient is taken; by default with chance λ/3.
        model: Network whose BatchNorm statistics must not move in the second pass.
        **base_kwargs: Arguments of `base`, such as `lr`.

    Raises:
        ValueError: If a number is out of range or `sharpness` is unknown.
        TypeError: If `rule` is not a LambdaRule or `base` not an optimizer class.

    Reference:
        Zou, Deng, Sun, ICASSP 2025, arXiv 2412.16854.
    """

    _mixes = True

    def __init__(
        self,
        params: ParamsT,
        base: type[Optimizer] = torch.optim.SGD,
        *,
        rho: float = RHO,
        adaptive: bool = False,
        rule: LambdaRule | None = None,
        lam: float = LAM,
        lam_min: float = LAM_MIN,
        lam_max: float = LAM_MAX,
        beta: float = BETA,
        sharpness: Literal["exact", "first_order"] = "exact",
        second_pass: SecondPass | None = None,
        model: nn.Module | None = None,
        **base_kwargs: Any,
    ) -> None:
        if sharpness not in ("exact", "first_order"):
            raise ValueError(f"sharpness must be 'exact' or 'first_order', got {sharpness!r}")
        policy = Dither() if second_pass is None else second_pass
        defaults = {"rho": rho, "adaptive": adaptive}
        super().__init__(params, base, model, defaults, base_kwargs, policy)
        self.sharpness_form = sharpness
        self.rule = TrendPower() if rule is None else rule
        self.beta = beta
        self._held: float | None = None
        self._set_lam(checked_number("lam", lam, 0.0))
        self.set_bounds(lam_min, lam_max)
        if not lam_min <= lam <= lam_max:
            raise ValueError(
                f"lam must lie within [lam_min, lam_max] = [{lam_min:g}, {lam_max:g}], got "
                f"{lam:g}; move it or widen the bounds"
            )
        self.lam_used = self._weight = self.lam
        self.ratio = self._reference = self._unknown
        self._average = torch.full_like(self._unknown, LEAST)
        self._blank = torch.ones_like(self._unknown, dtype=torch.bool)  # no sharpness above LEAST
        self._blank_known = HostReading(True)
        self._counted = 0  # sharpness values
        self._level: Tensor | None = None  # average of the loss since a rule asks for it

    @property
    def rule(self) -> LambdaRule:
        """How λ follows the ratio."""
        return self._rule

    @rule.setter
    def rule(self, rule: LambdaRule) -> None:
        if not isinstance(rule, LambdaRule):
            raise TypeError(f"rule must be a LambdaRule, got {rule!r}; build one with build_rule")
        self._rule = rule
        if not rule.needs_loss:
            self._level = None

    @property
    def beta(self) -> float:
        """β of the sharpness average."""
        return self._beta

    @beta.setter
    def beta(self, beta: float) -> None:
        number = checked_number("beta", beta, 0.0, 1.0)
        if number == 1.0:
            raise ValueError("beta must be below 1, got 1.0, which never forgets; try 0.9")
        self._beta = number

    def wants_second_pass(self) -> bool:
        """As in the base class; where λ is held it is mixed in exactly, at every step.

        A policy that does not go by λ decides as ever.
        """
        wanted = super().wants_second_pass()
        if self._held is None or not self.second_pass.needs_lam:
            return wanted
        self._turn.decision = MEASURE
        return True

    def _set_lam(self, lam: float) -> None:
        self.lam = torch.full_like(self._unknown, lam)
        self._turn.lam = HostReading(lam)

    def _lam_now(self) -> float:
        return on_host(self.lam).item() if hasattr(self, "lam") else 1.0

    def _lam_seen(self) -> float:
        known = super()._lam_seen()
        return known if self._held is not None else min(max(known, self.lam_min), self.lam_max)

    def set_bounds(self, lam_min: float, lam_max: float) -> None:
        """Set [λ_min, λ_max] and clip λ to it at once, unless it is held; equal bounds pin λ.

        Raises:
            ValueError: If not 0 ≤ λ_min ≤ λ_max < ∞.
        """
        lam_min = checked_number("lam_min", lam_min, 0.0)
        lam_max = checked_number("lam_max", lam_max, 0.0)
        if lam_min > lam_max:
            raise ValueError(
                f"lam_min must not exceed lam_max, got {lam_min:g} > {lam_max:g}; swap them"
            )
        self.lam_min, self.lam_max = lam_min, lam_max
        if self._held is None and lam_min == lam_max:
            self._set_lam(lam_min)
        elif self._held is None:
            self.lam = self.lam.clamp(lam_min, lam_max)

    @property
    def held(self) -> float | None:
        """The value that λ is held at; None while it follows the rule."""
        return self._held

    def hold(self, lam: float | None) -> None:
        """Hold λ at a value, inside the bounds or not, or let it follow the rule again.

        Under a policy that goes by λ every step then takes the second gradient and weighs it by λ,
        so that 0 is the base optimizer and 1 is SAM, and the sharpness ratio is measured as ever.
        Set free, λ goes on from the value that it was held at, clipped to the bounds.

        Args:
            lam: λ ≥ 0, or None to set it free.

        Raises:
            ValueError: If λ is negative or not finite.
        """
        self._held = None if lam is None else checked_number("lam", lam, 0.0)
        if self._held is not None:
            self._set_lam(self._held)
        self.set_bounds(self.lam_min, self.lam_max)

    def _keep(self, parts: list[Part]) -> None:
        self.lam_used = self._weight = self.lam
        if self._turn.decision == TAKE:
            self._weight = self.second_pass.weight(self.lam)
        rest = 1.0 - self._weight
        for part in parts:
            torch._foreach_mul_(part.grads, rest)

    def _pass_over(self) -> None:
        self.lam_used = self.lam

    def _measure(self) -> Tensor:
        if self.sharpness_form == "exact":
            if self.loss is self._unknown or self.perturbed_loss is self._unknown:
                raise ValueError(
                    "SAMAR with sharpness='exact' needs both losses; call "
                    "second_step(loss, perturbed_loss) or choose sharpness='first_order'"
                )
            return super()._measure()
        radii = {group["rho"] for group in self.param_groups}
        if len(radii) > 1:
            raise ValueError(
                f"sharpness='first_order' needs one rho for all groups, got {sorted(radii)}; "
                "make them equal or choose sharpness='exact'"
            )
        rho: float = radii.pop()
        return self._ascent_norm * rho

    def _direction(self, parts: list[Part]) -> None:
        if not any(part.group["rho"] for part in parts):
            return  # g̃_k is g_k: nothing was measured, and mixing them could only round
        self._update_lam()
        most = self.lam_max if self._held is None else self._held
        if most == 0.0 and self._weight is self.lam_used:
            self._drop_second(parts)
            return
        second = [p.grad for group in self.param_groups for p in group["params"]]
        if perturbed := [grad for grad in second if grad is not None]:
            torch._foreach_mul_(perturbed, self._weight)
        both = []
        for part in parts:
            for p, first in zip(part.weights, part.grads, strict=True):
                if p.grad is None:
                    p.grad = first
                else:
                    both.append((p.grad, first))
        if both:
            torch._foreach_add_([grad for grad, _ in both], [first for _, first in both])

    def _drop_second(self, parts: list[Part]) -> None:
        """d_k = g_k: 0 times a second gradient that is not finite would be NaN."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None
        for part in parts:
            for p, first in zip(part.weights, part.grads, strict=True):
                p.grad = first

    def _update_lam(self) -> None:
        """With the default rule ten operations on 0-dim tensors, none of which waits.

        Some more until the host knows of a sharpness above 0; afterwards they would change nothing.
        """
        if self.rule.needs_loss and self.loss is self._unknown:
            raise ValueError(
                f"the λ rule {self.rule.name!r} needs the loss; call second_step(loss)"
            )
        self._counted += 1
        pace = 1.0 - self.beta
        size = self.sharpness.abs().clamp(min=LEAST).to(self._average.dtype)
        # One loss that is not finite must not wipe out a long memory: it counts as the average.
        size = torch.where(size < math.inf, size, self._average)
        blank = self._blank if self._blank_known.value else None
        if blank is not None:
            self._average = torch.where(blank, size, self._average)
        self._average = self._average.lerp(size, pace)
        if blank is not None:
            self._reference = torch.where(blank, self._average, self._reference)
            self._blank = blank & (self._average <= LEAST)
            self._blank_known.put(self._blank, self._turn.steps)
        share = self._share(pace, blank) if self.rule.needs_loss else self._unknown
        if self._counted > 1:
            self.ratio = self._average / self._reference
        if self._held is None and (self.rule.needs_loss or self._counted > 1):
            moved = self.rule.update(self.lam_used, self.ratio, share)
            if blank is not None:
                moved = torch.where(self._blank, self.lam_used, moved)
            self.lam = moved.clamp(self.lam_min, self.lam_max)
        rate = self.rule.reference_rate
        if self.rule.even_start:
            rate = max(rate, 1.0 / self._counted)
        whole = rate == 1.0
        self._reference = self._average if whole else self._reference.lerp(self._average, rate)
        if self.second_pass.needs_lam:
            self._turn.lam.put(self.lam, self._turn.steps)

    def _share(self, pace: float, blank: Tensor | None) -> Tensor:
        """How much of the worst-case loss is sharpness, both averaged."""
        before = torch.zeros_like(self._average) if self._level is None else self._level
        loss = self.loss.to(self._average.dtype)
        loss = torch.where(loss < math.inf, loss, before)
        if blank is not None:
            before = torch.where(blank, loss, before)
        self._level = before.lerp(loss, 1.0 if self._level is None else pace)
        return self._average / (self._level + self._average)

    def _extra_state(self) -> dict[str, Any]:
        return {
            "lam": self.lam,
            "ratio": self.ratio,
            "average": self._average,
            "blank": self._blank,
            "level": self._level,
            "reference": self._reference,
            "counted": self._counted,
            "lam_min": self.lam_min,
            "lam_max": self.lam_max,
            "beta": self.beta,
            "held": self._held,
            "rule": {"name": self.rule.name, "constants": asdict(self.rule)},
        }

    def _check_state(self, state_dict: dict[str, Any]) -> None:
        super()._check_state(state_dict)
        name = state_dict["extra"]["rule"]["name"]
        if name not in RULE_TYPES and name != self.rule.name:
            raise ValueError(
                f"this state was saved with the λ rule {name!r}, which is not built in; give the "
                "optimizer that rule first"
            )

    def _load_extra_state(self, extra: dict[str, Any]) -> None:
        name = extra["rule"]["name"]
        kind = type(self.rule) if name == self.rule.name else RULE_TYPES[name]
        self.rule = kind(**extra["rule"]["constants"])
        self.beta = extra["beta"]
        self.lam, self.ratio, self._average, self._reference, self._blank = (
            extra[key].to(self.device) for key in ("lam", "ratio", "average", "reference", "blank")
        )
        self._blank_known = HostReading(on_host(self._blank).item())
        level = extra["level"]
        self._level = None if level is None else level.to(self.device)
        self._counted, self._held = extra["counted"], extra["held"]
        self.set_bounds(extra["lam_min"], extra["lam_max"])
