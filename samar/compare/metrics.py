"""Everything that a run records, by name: where it is kept, what it is called, in which unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samar.compare.groups import Curve, Floats
from samar.jobs.records import CURVATURE, Columns, Event, measurements


@dataclass(frozen=True)
class Metric:
    """A recorded quantity.

    Attributes:
        title: what it is.
        unit: with it, the label of an axis.
        of: ``steps``, ``epochs`` or ``curvature`` (of the Hessian, between epochs).
        factor: from the recorded to the shown number: 100 for percent.
        log: whether a logarithmic axis makes sense.
    """

    title: str
    unit: str
    of: str
    factor: float = 1.0
    log: bool = False


METRICS: Mapping[str, Metric] = {
    "test_accuracy": Metric("Test accuracy", "correct (%)", "epochs", 100),
    "train_accuracy": Metric("Training accuracy", "correct (%)", "epochs", 100),
    "gap": Metric("Generalization gap", "train − test accuracy (points)", "epochs", 100),
    "val_accuracy": Metric("Validation accuracy", "correct (%)", "epochs", 100),
    "test_loss": Metric("Test loss", "cross-entropy (nats)", "epochs", log=True),
    "train_loss": Metric("Training loss", "cross-entropy (nats)", "epochs", log=True),
    "val_loss": Metric("Validation loss", "cross-entropy (nats)", "epochs", log=True),
    "loss": Metric("Mini-batch loss", "cross-entropy (nats)", "steps", log=True),
    "perturbed_loss": Metric("Mini-batch loss at x+ε", "f(x+ε) (nats)", "steps", log=True),
    "sharpness": Metric("Sharpness", "f(x+ε) − f(x)", "steps", log=True),
    "ratio": Metric("Sharpness ratio", "sharpness / reference", "steps", log=True),
    "lam": Metric("Regularization strength λ", "λ", "steps"),
    "price": Metric("Price", "gradients a step so far", "steps"),
    "grad_norm": Metric("Gradient norm", "‖g‖", "steps", log=True),
    "lr": Metric("Learning rate", "η", "steps", log=True),
    "lambda_max": Metric("Largest eigenvalue", "h₁ of the Hessian", "curvature", log=True),
    "trace": Metric("Hessian trace", "tr H", "curvature", log=True),
    "edge": Metric("Edge of stability", "curvature that a step tolerates", "curvature", log=True),
    "gradient_share": Metric(
        "Gradient in the top eigenspace", "share of ‖g‖² in h₁ to h₃ (%)", "curvature", 100
    ),
    "kappa": Metric("κ", "sharpness / ρ‖g‖", "curvature"),
    "kappa_expected": Metric("κ from curvature", "1 + ½ρ ĝᵀHĝ/‖g‖", "curvature"),
}


def curve_of(
    name: str, axis: str, steps: Columns, epochs: Columns, events: Sequence[Event]
) -> Curve:
    """One quantity of one run over its steps.

    Args:
        name: a key of :data:`METRICS`.
        axis: ``step``, ``grad_evals`` or ``seconds``.
        steps, epochs: columns of the run's records.
        events: of the run; measurements of the Hessian are among them.

    Returns:
        The curve in shown units; empty where nothing of the kind was recorded.
    """
    metric = METRICS[name]
    if metric.of == "curvature":
        found = measurements(events, CURVATURE)
        at = np.array([event.step for event in found], dtype=float)
        values = np.array([_measured(name, event.detail) for event in found], dtype=float)
        x, kept = places(at, axis, steps), np.isfinite(values)
        return Curve(at[kept], x[kept], metric.factor * values[kept])
    if name == "price":
        price = steps["grad_evals"] / np.maximum(steps["step"], 1)
        return Curve(steps["step"], steps[axis], price)
    table = steps if metric.of == "steps" else epochs
    finite = np.isfinite(table[name])
    at, x, y = (table[column][finite] for column in ("step", axis, name))
    return Curve(at, x, metric.factor * y)


def places(at: Floats, axis: str, steps: Mapping[str, Floats]) -> Floats:
    """Where steps lie on a horizontal axis, on which every run begins at 0.

    Args:
        at: (n,) steps taken so far; 0 before the first.
        axis: ``step``, ``grad_evals`` or ``seconds``.
        steps: columns of the run's records.
    """
    if axis == "step":
        return at
    known, there = (np.insert(steps[column], 0, 0.0) for column in ("step", axis))
    found: Floats = np.interp(at, known, there)
    return found


def _measured(name: str, detail: Mapping[str, Any]) -> float | None:
    """A quantity of one measurement; None where it was not taken."""
    if name == "lambda_max":
        return float(detail["values"][0])
    return detail.get(name)
