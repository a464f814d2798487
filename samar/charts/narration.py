"""What the λ rule just did, in words."""

import math

import numpy as np

from samar.jobs.records import Columns
from samar.kinds.watch import WatchSettings
from samar.optim.catalog import dead_band_of
from samar.training.settings import TrainSettings

Config = TrainSettings | WatchSettings

RECENT = 100


def narrate(config: Config, steps: Columns) -> str:
    """Some sentences about the newest move of λ, and how often a second gradient is taken.

    It is read off the last step that measured and the one after it: the ratio of the one led to
    the λ of the other.

    Args:
        config: the run's settings as they are now, live changes included.
        steps: columns of the run's steps.
    """
    often = second_gradients(steps)
    if config.optimizer != "samar":
        return _without_lambda(config, often)
    if config.lam_held is not None:
        return f"λ is held at {config.lam_held:g}: the sharpness ratio is shown but moves nothing."
    if config.rule == "fixed":
        return f"λ is fixed at {config.lam:g}: the sharpness ratio is shown but moves nothing."
    measured = np.flatnonzero(np.isfinite(steps["perturbed_loss"][:-1]))
    if len(measured) < 2 or not np.isfinite(steps["lam"][-2:]).all():
        return "Waiting for the first sharpness ratio."
    before, after = steps["lam"][measured[-1] : measured[-1] + 2]
    told = _move(config, steps["ratio"][measured[-1]], before, after)
    if often < 1:
        return f"{told} {_price(often)}"
    return f"{told} {_recently(steps['lam'])}"


def second_gradients(steps: Columns) -> float:
    """The share of the newest steps that took a second gradient; NaN before the second step."""
    spent = np.diff(steps["grad_evals"][-RECENT - 1 :])
    return float((spent > 1).mean()) if len(spent) else math.nan


def _price(often: float) -> str:
    return f"Lately {often:.0%} of the steps took a second gradient.".replace("%", " %")


def _without_lambda(config: Config, often: float) -> str:
    if config.optimizer == "sgd":
        why = "no perturbation, so no sharpness and no λ"
        return f"{config.optimizer_title} follows the plain gradient: {why}."
    if often < 1:
        return f"λ is 1 where the second gradient is taken, and 0 elsewhere. {_price(often)}"
    return "λ is 1 throughout: every step follows the gradient at the perturbed weights alone."


def _move(config: Config, ratio: float, before: float, after: float) -> str:
    outcome = "stayed at" if after == before else "rose to" if after > before else "fell to"
    moved = f"λ {outcome} {after:.3g}"
    if after == before and after in (np.float32(config.lam_min), np.float32(config.lam_max)):
        side = "floor" if after == np.float32(config.lam_min) else "ceiling"
        if ratio > 1 if side == "ceiling" else ratio < 1:
            moved += f", its {side}"
    if config.rule == "share":
        if np.float32(config.lam_min) < after < np.float32(config.lam_max) and config.scale:
            share = f"{after / config.scale:.0%}".replace("%", " %")
            moved = f"{share} of the worst-case loss is sharpness, so {moved}"
        return f"{moved}."
    if not math.isfinite(ratio):
        return f"There is no ratio yet, so λ stayed at {after:.3g}."
    if band := dead_band_of(config.rule, config.tau):
        low, high = band
        if ratio > high:
            where = f"is above {high:.2f}"
        elif ratio < low:
            where = f"is below {low:.2f}"
        else:
            where = f"lies between {low:.2f} and {high:.2f}"
        return f"Ratio {ratio:.2f} {where}, so {moved}."
    return f"Ratio {ratio:.2f} is {'above' if ratio > 1 else 'below'} 1, so {moved}."


def _recently(lam: np.ndarray) -> str:
    change = np.diff(lam[-RECENT - 1 :])
    change = change[np.isfinite(change)]  # other optimizers may have had their turn
    rose, fell = int((change > 0).sum()), int((change < 0).sum())
    return f"Of the last {len(change)} steps, {rose} raised it and {fell} lowered it."
