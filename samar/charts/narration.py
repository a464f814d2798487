"""What the λ rule just did, in words."""

import math

import numpy as np

from samar.jobs.records import Columns
from samar.training.settings import TrainSettings

RECENT = 100


def narrate(config: TrainSettings, steps: Columns) -> str:
    """One or two sentences about the newest move of λ.

    It is read off the last two records: the ratio of the one before last led to the last's λ.

    Args:
        config: the run's settings as they are now, live changes included.
        steps: columns of the run's steps.
    """
    if config.optimizer != "samar":
        return _without_lambda(config.optimizer)
    if config.lam_held is not None:
        return f"λ is held at {config.lam_held:g}: the sharpness ratio is shown but moves nothing."
    if config.rule == "fixed":
        return f"λ is fixed at {config.lam:g}: the sharpness ratio is shown but moves nothing."
    if len(steps["step"]) < 3 or not np.isfinite(steps["lam"][-2:]).all():
        return "Waiting for the first sharpness ratio."
    before, after = steps["lam"][-2:]
    return f"{_move(config, steps['ratio'][-2], before, after)} {_recently(steps['lam'])}"


def _without_lambda(optimizer: str) -> str:
    if optimizer == "sgd":
        return "SGD follows the plain gradient: no perturbation, so no sharpness and no λ."
    return "λ is 1 throughout: every step follows the gradient at the perturbed weights alone."


def _move(config: TrainSettings, ratio: float, before: float, after: float) -> str:
    if not math.isfinite(ratio):
        return f"The ratio was not a number, so λ stayed at {after:.3g}."
    outcome = "stayed at" if after == before else "rose to" if after > before else "fell to"
    moved = f"λ {outcome} {after:.3g}"
    if after == before and after in (np.float32(config.lam_min), np.float32(config.lam_max)):
        side = "floor" if after == np.float32(config.lam_min) else "ceiling"
        if ratio > 1 if side == "ceiling" else ratio < 1:
            moved += f", its {side}"
    if config.rule in ("dead_band", "trend"):
        low, high = 1 - config.tau, 1 + config.tau
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
