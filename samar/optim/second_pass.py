"""When a sharpness-aware optimizer takes its second gradient, and when one is enough.

The second gradient doubles the cost of a step. A `SecondPass` says before each step whether it is
worth that; a step without it is a step of the base optimizer, bit for bit. Each policy names its
source; those without one are ours.

A policy is a frozen dataclass without state. What it remembers from step to step are a few floats
that the optimizer keeps and saves. It decides on the host, from values that a CPU knows at once
and that come `LAG` steps late from another device, so that no step waits; only `Threshold` needs
the gradient norm of the very step it decides on, and waits for it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from samar.device.waiting import HostReading
from samar.optim.catalog import SECOND_PASSES
from samar.optim.validation import build_named, check_constants, default_of

Decision = Literal["skip", "take", "measure"]
"""*measure* takes the second gradient with the plain weight λ, where *take* may give it more."""

SKIP: Decision = "skip"
TAKE: Decision = "take"
MEASURE: Decision = "measure"


@dataclass(frozen=True)
class Moment:
    """What a policy may know of the step that is about to be taken.

    Attributes:
        step: steps taken before it.
        progress: of the whole training, from 0 to 1; set by the loop as `optimizer.progress`.
        lam: newest λ that the host knows; 1 for an optimizer without λ.
        measured: second gradients taken so far.
        grad_norm: returns ‖g_k‖ of this step; waits for the device.
    """

    step: int
    progress: float
    lam: float
    measured: int
    grad_norm: Callable[[], float]


@dataclass(frozen=True)
class SecondPass(ABC):
    """Decides whether a step takes the second gradient.

    A subclass is a frozen dataclass whose fields are its constants; those of a policy listed in
    `catalog.SECOND_PASSES` are checked against the ranges given there.
    """

    name: ClassVar[str]
    needs_lam: ClassVar[bool] = False
    """Whether it decides by λ, which costs a copy a step where the CPU does not compute."""

    def __post_init__(self) -> None:
        check_constants(self, SECOND_PASSES)

    @abstractmethod
    def decide(self, moment: Moment, memory: dict[str, float]) -> Decision:
        """Whether this step takes the second gradient; called once a step.

        Args:
            moment: what is known.
            memory: the policy's own numbers, empty at first; kept and saved by the optimizer.
        """

    def weight(self, lam: Tensor) -> Tensor:
        """What the second gradient of a *take* weighs in d_k, 0-dim; λ unless said otherwise."""
        return lam

    def mixed(self, lam: float, progress: float) -> float | None:
        """The λ of d_k in the mean over many steps; None where it is not known beforehand.

        Args:
            lam: λ now; 1 for an optimizer without λ.
            progress: as in :class:`Moment`.
        """
        return None


@dataclass(frozen=True)
class EveryStep(SecondPass):
    """Always: two gradients a step, as SAM, VaSSO and SAMAR are published."""

    name: ClassVar[str] = "always"

    def decide(self, moment: Moment, memory: dict[str, float]) -> Decision:
        """Take it."""
        return TAKE

    def mixed(self, lam: float, progress: float) -> float:
        """λ."""
        return lam


@dataclass(frozen=True)
class Late(SecondPass):
    """Only after a share of the training.

    Zhou et al., "Sharpness-Aware Minimization Efficiently Selects Flatter Minima Late in
    Training", ICLR 2025, arXiv 2410.10373; aligned with a learning rate that falls only then it
    is the schedule of Temperon, arXiv 2609.17575, without its second base optimizer.

    Args:
        begin: share of the training before the first second gradient, in [0, 1].
    """

    name: ClassVar[str] = "late"
    begin: float = default_of("begin")

    def decide(self, moment: Moment, memory: dict[str, float]) -> Decision:
        """Take it from `begin` on."""
        return TAKE if moment.progress >= self.begin else SKIP

    def mixed(self, lam: float, progress: float) -> float:
        """λ from `begin` on."""
        return lam if progress >= self.begin else 0.0


@dataclass(frozen=True)
class Threshold(SecondPass):
    """Where the squared gradient norm is large against its own running mean.

    Jiang et al., "An Adaptive Policy to Employ Sharpness-Aware Minimization" (AE-SAM), ICLR 2023,
    arXiv 2304.14647: with exponential averages μ and σ² of ‖g‖² and of its squared deviation,
    taken where ‖g_k‖² ≥ μ_k + c_k σ_k; c goes linearly from `spread_first` to `spread_last` over
    the training. Departure: μ starts at the first value, and σ² at 0.

    Args:
        spread_first: c at the start; the paper's λ₂.
        spread_last: c at the end; the paper's λ₁.
    """

    name: ClassVar[str] = "threshold"
    forget: ClassVar[float] = 0.1
    spread_first: float = default_of("spread_first")
    spread_last: float = default_of("spread_last")

    def decide(self, moment: Moment, memory: dict[str, float]) -> Decision:
        """Take it where the gradient is long."""
        norm = moment.grad_norm()
        size = norm * norm
        mean = memory.get("mean", size)
        mean += self.forget * (size - mean)
        spread = memory.get("variance", 0.0)
        spread += self.forget * ((size - mean) * (size - mean) - spread)
        if not math.isfinite(spread):
            return TAKE
        memory["mean"], memory["variance"] = mean, spread
        progress = moment.progress
        factor = (1.0 - progress) * self.spread_first + progress * self.spread_last
        return TAKE if size >= mean + factor * math.sqrt(spread) else SKIP


@dataclass(frozen=True)
class Dither(SecondPass):
    """λ as the chance of a second gradient instead of its share in every step.

    Ours, after dithering in signal processing. A second gradient of weight w is taken with
    chance λ/w, so that d_k is in expectation (1 − λ_k) g + λ_k g̃ for the price of 1 + λ/w
    gradients; from λ = w on it is taken at every step and weighs λ. Not a coin but a sum decides:
    each step adds λ/w to it, and a step that finds it at 1 or above takes the second gradient
    and 1 off it. So the direction averaged over the steps is exactly the mixed one, without a
    random state to save.

    The first step takes one in any case, and so does a step that comes `longest` steps after the
    last, as with a λ near 0; where none is due, such a step only measures, and weighs by λ. So the
    price is between 1 + λ/w and 1 + λ/w + 1/`longest`. Assigning the policy begins the sum anew.

    Args:
        strength: w > 0. 1 replaces g by g̃ where it is taken; more takes it less often and goes
            further along g̃ − g.
        longest: most steps from one second gradient to the next.
    """

    name: ClassVar[str] = "dither"
    needs_lam: ClassVar[bool] = True
    strength: float = default_of("strength")
    longest: float = default_of("longest")

    def decide(self, moment: Moment, memory: dict[str, float]) -> Decision:
        """Take it where the sum of the chances has reached 1."""
        before = memory.get("due", 0.5)
        due = before + min(moment.lam / self.strength, 1.0)
        since = memory.get("since", 0.0) + 1.0
        # Ten times 0.1 is a little less than 1.
        taken = due >= 1.0 - 1e-9 and moment.lam > 0.0
        if not taken and since < self.longest and moment.measured:
            memory["due"], memory["since"] = min(due, 1.0), since
            return SKIP
        # A step that only measures weighs by λ itself, and owes nothing.
        memory["due"], memory["since"] = (due - 1.0 if taken else before), 0.0
        return TAKE if taken else MEASURE

    def weight(self, lam: Tensor) -> Tensor:
        """The strength, or λ where that is more."""
        return lam.clamp(min=self.strength)

    def mixed(self, lam: float, progress: float) -> float:
        """λ."""
        return lam


SECOND_PASS_TYPES: dict[str, type[SecondPass]] = {
    kind.name: kind for kind in (EveryStep, Late, Threshold, Dither)
}


class Turn:
    """The decision of every step on its second gradient: a policy, its memory and a step count.

    Attributes:
        decision: of the step in progress.
        steps, measured: how many steps were taken, and how many of them with a second gradient.
        lam: the newest λ that the host can know.
    """

    policy: SecondPass

    def __init__(self) -> None:
        self.decision: Decision = MEASURE
        self.memory: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self.steps = self.measured = 0
        self.lam = HostReading(1.0)

    def follow(self, policy: SecondPass, lam: float) -> None:
        """Go on by another policy, which remembers nothing."""
        self.policy, self.memory, self.lam = policy, {}, HostReading(lam)

    def decide(self, progress: float, lam: float, grad_norm: Callable[[], float]) -> Decision:
        """Decide on the step that begins."""
        self._before = dict(self.memory)
        moment = Moment(self.steps, progress, lam, self.measured, grad_norm)
        self.decision = self.policy.decide(moment, self.memory)
        return self.decision

    def take_back(self) -> None:
        """Forget the decision of a step that is abandoned."""
        self.memory, self.decision = dict(self._before), MEASURE

    def finish(self, gradients: int) -> None:
        """Count a step that took so many gradients."""
        self.measured += gradients == 2
        self.steps += 1
        self.decision = MEASURE

    def save(self) -> dict[str, Any]:
        """Everything an exact resume needs, in plain values."""
        return {
            "name": self.policy.name,
            "constants": asdict(self.policy),
            "memory": dict(self.memory),
            "steps": self.steps,
            "measured": self.measured,
            "lam": self.lam.save(),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Go on from what `save` returned, by the policy that is set."""
        self.memory = saved["memory"]
        self.steps, self.measured = saved["steps"], saved["measured"]
        self.lam.load(saved["lam"])


def build_second_pass(name: str, **constants: float) -> SecondPass:
    """Build a policy from its name in `catalog.SECOND_PASSES`.

    Constants left out keep their defaults.

    Raises:
        ValueError: If the policy or a constant is unknown, or a constant is out of range.

    Example:
        >>> build_second_pass("late", begin=0.5)
        Late(begin=0.5)
    """
    return build_named(
        SECOND_PASS_TYPES,
        name,
        constants,
        f"unknown policy {name!r} of the second gradient",
        f"the policy {name!r}",
    )
