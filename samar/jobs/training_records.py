"""The records of a training run's steps and epochs, as it yields them and the store keeps them.

The store knows no science but these columns: charts, comparisons and lists read millions of steps
from it, for which named columns are needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one optimizer step did. NaN where the optimizer has no such number.

    Attributes:
        step: 1 for the first step of the run.
        epoch: 1 for the first pass over the data.
        loss: mini-batch loss f(x_k) at the weights before the step.
        perturbed_loss: f(x_k + ε_k) on the same mini-batch.
        sharpness: f(x_k + ε_k) − f(x_k), or its first-order form ⟨g_k, ε_k⟩.
        ratio: r_k, this step's sharpness over the reference (the previous step's, or a trend).
        lam: λ_k, the strength that entered this step's descent direction.
        grad_norm: ‖g_k‖, global L2 norm of the clean gradient.
        lr: learning rate η used.
        grad_evals: gradient evaluations since the start of the run.
        seconds: training time since the start of the run, pauses left out.
    """

    step: int
    epoch: int
    loss: float
    perturbed_loss: float
    sharpness: float
    ratio: float
    lam: float
    grad_norm: float
    lr: float
    grad_evals: int
    seconds: float

    @classmethod
    def of(cls, measured: Sequence[float], **known: Any) -> "StepRecord":
        """A record from the numbers of :data:`MEASURED`, in their order, and the others by name."""
        return cls(**known | dict(zip(MEASURED, measured, strict=True)))


MEASURED = ("loss", "perturbed_loss", "sharpness", "ratio", "lam", "grad_norm")
"""What only the device knows of a step."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """Evaluation after one epoch: eval mode, no augmentation, accuracies as fractions.

    ``gap`` is the generalization gap, training accuracy minus test accuracy. Training figures are
    measured on ``train_images`` images, against the labels trained on (wrong ones included).
    Validation figures are those of the held-out training images, NaN where there are none.
    """

    epoch: int
    step: int
    grad_evals: int
    seconds: float
    train_loss: float
    train_accuracy: float
    train_images: int
    test_loss: float
    test_accuracy: float
    gap: float
    val_loss: float = NAN
    val_accuracy: float = NAN


@dataclass(frozen=True, slots=True)
class Divergence:
    """The step at which the loss stopped being finite, with the last finite record."""

    step: int
    last: StepRecord | None
    hint: str

    def __str__(self) -> str:
        before = f" (it was {self.last.loss:.4g} one step earlier)" if self.last else ""
        return f"The loss stopped being finite at step {self.step}{before}. {self.hint}"
