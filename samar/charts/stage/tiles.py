"""Which tiles the stage has, what they are called, and what an empty one says."""

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from samar.charts.narration import second_gradients
from samar.charts.stage.feed import StageRun
from samar.optim.catalog import dead_band_of

CAP = 2.0
"""Losses are drawn up to this many times ln C, the loss of guessing among C classes."""


RATIO_TICKS = {
    1.25: (0.8, 0.9, 1, 1.1, 1.25),
    2.0: (0.5, 0.7, 1, 1.4, 2),
    4.0: (0.25, 0.5, 1, 2, 4),
    16.0: (0.06, 0.25, 1, 4, 16),
    256.0: (0.004, 0.06, 1, 16, 256),
}
"""How far the ratio's axis reaches, as a factor to either side of 1, and its labels."""
FIRST_STEPS = 20
LOSS = "Cross-entropy in nats: of each mini-batch, and after each epoch of training and test set."
LOSS_OF_SCRIPT = "What the script gives: of each mini-batch, and after each epoch that it tells of."
NO_EVALUATION = "Not told: run.epoch(train_accuracy=…, test_accuracy=…) in the script tells it."
NEAR = 2.0
"""A bound of λ is drawn up to this many times the largest λ."""


def tiles(runs: Sequence[StageRun], unobserved: str = "") -> list[dict[str, Any]]:
    """The tiles for these runs, the landscape first, then in reading order.

    λ and its ratio give way to the gradient and the sharpness where no run has them, accuracy and
    gap where a script tells of none.

    Args:
        unobserved: why nothing is measured on the way, in a sentence; empty if it is.
    """
    shown = [run for run in runs if not run.ghost]
    lead = max(shown, key=lambda run: run.active, default=None)
    adaptive = any(map(_adaptive, shown)) or lead is None
    script = lead is not None and lead.of_a_script
    plain = script and lead is not None and lead.settings.optimizer == "sgd"
    moved = [_lam(lead), _ratio(lead)] if adaptive else [_gradient(lead)]
    further = [*([] if plain else [_sharpness(lead)]), _trace(lead, unobserved), _lr(lead)]
    further += [_gradient(lead)] if adaptive else []
    if not adaptive:
        moved.append(further.pop(0))
    told = [_accuracy(lead), _gap(lead)]
    further.append(_sharpness(lead))
    if script and lead is not None and not np.isfinite(lead.epochs["test_accuracy"]).any():
        *kept, last = further
        pool = [*kept, *told, last]
        told, further = pool[:2], pool[2:]
    loss, eigenvalues = _loss(lead), _eigenvalues(lead, unobserved)
    chosen = [
        _landscape(lead, unobserved),
        *moved,
        loss,
        told[0],
        eigenvalues,
        told[1],
        *further[:2],  # shown where the screen is large
        _share(lead, unobserved),
        _kappa(lead, unobserved),
    ]
    examples = "examples" if script else "training images"
    return [tile | {"examples": examples} for tile in chosen]


def _tile(key: str, title: str, help: str, note: str, **more: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "table": "steps",
        "columns": [],
        "smoothed": False,
        "log": False,
        "zero": False,
        "factor": 1,
        "unit": "",
        "levels": [],
        "band": None,
        "legend": "",
        "bridged": False,
    }
    return {"key": key, "title": title, "help": help, "note": note, **usual, **more}


def _column(name: str, role: str = "main") -> dict[str, str]:
    return {"name": name, "role": role}


def _landscape(lead: StageRun | None, unobserved: str) -> dict[str, Any]:
    return _tile(
        "landscape",
        "Loss landscape",
        "The loss around the network along two fixed random directions, normalized to the filters: "
        "±1 is a step as long as the weights themselves. The mark is the network.",
        _note(lead, unobserved),
        cap=_cap(lead),
    )


def _cap(lead: StageRun | None) -> float:
    """The highest loss that is drawn: a multiple of guessing, or of the loss at the start."""
    if lead is None or not lead.of_a_script:
        return CAP * math.log(max(10 if lead is None else lead.classes, 2))
    first = lead.steps["loss"][:FIRST_STEPS]
    first = first[np.isfinite(first)]
    return CAP * float(first.max()) if len(first) and first.max() > 0 else sys.float_info.max


def _lam(lead: StageRun | None) -> dict[str, Any]:
    levels = []
    if lead is not None and lead.settings.optimizer == "samar":
        seen = lead.steps["lam"][np.isfinite(lead.steps["lam"])]
        # A ceiling far above λ would flatten its curve.
        reach = NEAR * max(seen.max(initial=0.0), 1.0)
        bounds = [bound for bound in lead.settings.lam_bounds if bound <= reach]
        levels = [{"y": bound, "dash": "dash"} for bound in bounds]
    return _tile(
        "lam",
        "Strength λ",
        "The strength of the regularization: 0 is SGD, 1 is SAM. Dashed: its floor and ceiling, "
        "where they are near. Beside the title: how many of the last steps took the second "
        "gradient, which doubles their price.",
        _first_step(lead),
        columns=[_column("lam")],
        zero=True,
        levels=levels,
        legend=_price(lead),
    )


def _price(lead: StageRun | None) -> str:
    """How often the newest steps took a second gradient, where not always."""
    often = math.nan if lead is None else second_gradients(lead.steps)
    if lead is None or lead.settings.optimizer == "sgd" or not often < 1:
        return ""
    return f"2nd gradient: {often:.0%}".replace("%", " %")


def _ratio(lead: StageRun | None) -> dict[str, Any]:
    band = None
    if lead is not None and _adaptive(lead):
        band = dead_band_of(lead.settings.rule, lead.settings.tau)
    return _tile(
        "ratio",
        "Sharpness ratio",
        "This step's sharpness over its reference. Above 1 λ rises, below 1 it falls.",
        _first_step(lead, "second step"),
        columns=[_column("ratio")],
        smoothed=True,
        log="ratio",
        ticks=[[factor, list(values)] for factor, values in RATIO_TICKS.items()],
        levels=[{"y": 1, "dash": "solid"}],
        band=band,
    )


def _loss(lead: StageRun | None) -> dict[str, Any]:
    return _tile(
        "loss",
        "Loss",
        LOSS_OF_SCRIPT if lead is not None and lead.of_a_script else LOSS,
        _first_step(lead),
        table="epochs",
        columns=[
            _column("loss", "raw"),
            _column("train_loss", "train"),
            _column("test_loss"),
        ],
        smoothed=True,
        log=True,
        zero=True,
        legend="● test ○ training",
    )


def _accuracy(lead: StageRun | None) -> dict[str, Any]:
    return _tile(
        "accuracy",
        "Accuracy",
        "Share of images that the network gets right, after each epoch. Dotted: estimates between, "
        "from a few hundred images, good to about three points.",
        _first_epoch(lead),
        table="epochs",
        columns=[
            _column("test_accuracy", "estimate"),
            _column("train_accuracy", "train"),
            _column("test_accuracy"),
        ],
        factor=100,
        unit=" %",
        legend="● test ○ training",
    )


def _eigenvalues(lead: StageRun | None, unobserved: str) -> dict[str, Any]:
    return _tile(
        "eigenvalues",
        "Top eigenvalues",
        "h₁ to h₃ of the Hessian of the training loss: how sharply the valley curves. Dashed: the "
        "edge of stability, above which a step overshoots. For gradient descent it is 2/η, for SAM "
        "and SAMAR lower; momentum and mini-batches move it.",
        _note(lead, unobserved),
        table="curvature",
        columns=[_column("h2", "lesser"), _column("h3", "lesser"), _column("h1")],
    )


def _gap(lead: StageRun | None) -> dict[str, Any]:
    return _tile(
        "gap",
        "Gap, train − test",
        "Generalization gap: training minus test accuracy, in percentage points. Training "
        "accuracy counts the labels trained on, wrong ones included. Dotted: estimates between the "
        "epochs, from a few hundred images.",
        _first_epoch(lead),
        table="epochs",
        columns=[_column("gap", "estimate"), _column("gap")],
        factor=100,
        unit=" pts",
        levels=[{"y": 0, "dash": "solid"}],
    )


def _sharpness(lead: StageRun | None) -> dict[str, Any]:
    note = _first_step(lead)
    if lead is not None and lead.settings.optimizer == "sgd":
        name = lead.settings.optimizer_title
        note = f"{name} never perturbs the weights, so it measures no sharpness."
    return _tile(
        "sharpness",
        "Sharpness",
        "f(x + ε) − f(x): how far the loss climbs within the radius ρ.",
        note,
        columns=[_column("sharpness")],
        smoothed=True,
        bridged=True,  # not every step measures it
        log=True,
        legend="" if lead is not None and lead.settings.optimizer == "samar" else _price(lead),
    )


def _trace(lead: StageRun | None, unobserved: str) -> dict[str, Any]:
    return _tile(
        "trace",
        "Trace of the Hessian",
        "The sum of all eigenvalues, estimated by Hutch++ on training images, now and then.",
        _note(lead, unobserved),
        table="curvature",
        columns=[_column("trace")],
        zero=True,
        bridged=True,
    )


def _gradient(lead: StageRun | None) -> dict[str, Any]:
    return _tile(
        "gradient",
        "Gradient norm",
        "Length of the mini-batch gradient.",
        _first_step(lead),
        columns=[_column("grad_norm")],
        smoothed=True,
        log=True,
        zero=True,
    )


def _share(lead: StageRun | None, unobserved: str) -> dict[str, Any]:
    return _tile(
        "share",
        "Gradient in top eigenspace",
        "How much of the squared gradient lies in the directions of h₁ to h₃: steps along them "
        "jump across the valley, steps outside of them go along it.",
        _note(lead, unobserved),
        table="curvature",
        columns=[_column("gradient_share")],
        factor=100,
        unit=" %",
        zero=True,
        bridged=True,
    )


def _kappa(lead: StageRun | None, unobserved: str) -> dict[str, Any]:
    note = _note(lead, unobserved)
    if lead is not None and lead.settings.optimizer == "sgd":
        note = f"{lead.settings.optimizer_title} never perturbs the weights, so it has no κ."
    return _tile(
        "kappa",
        "κ",
        "The measured sharpness over ρ‖g‖, what the slope alone gives. What is above 1 is "
        "curvature along the gradient: open circles are 1 + ½ρ ĝᵀHĝ/‖g‖.",
        note,
        table="curvature",
        columns=[_column("kappa_expected", "train"), _column("kappa")],
        levels=[{"y": 1, "dash": "solid"}],
        legend="● measured ○ from curvature",
        bridged=True,
    )


def _lr(lead: StageRun | None) -> dict[str, Any]:
    return _tile(
        "rate",
        "Learning rate",
        "η, as the schedule and changes by hand set it.",
        _first_step(lead),
        columns=[_column("lr")],
        zero=True,
    )


def _adaptive(run: StageRun) -> bool:
    """Whether a run has, or once had, a λ that is its own."""
    return run.settings.optimizer == "samar" or bool(np.isfinite(run.steps["ratio"]).any())


def _first_step(lead: StageRun | None, which: str = "first step") -> str:
    if lead is None:
        return ""
    return f"Comes with the {which}." if lead.active else "The run ended before this was measured."


def _first_epoch(lead: StageRun | None) -> str:
    if lead is None:
        return ""
    if lead.of_a_script:
        return NO_EVALUATION
    if lead.active:
        return "Comes at the end of the first epoch."
    return "The run ended before its first epoch did."


def _note(lead: StageRun | None, unobserved: str) -> str:
    """Why a tile of measurements has none."""
    if lead is None:
        return ""
    if unobserved:
        return unobserved
    return "Being measured." if lead.active else "None was measured before the run ended."
