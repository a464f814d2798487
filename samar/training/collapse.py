"""Whether a run forgot what it had learned, when, and where to go back to.

A step that is too large throws the weights to where the network answers the same to every image:
the loss then stays near ln C, that of guessing among C classes, or above it, and does not fall.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

GUESSING = 0.96
"""Part of ln C from which on a loss is that of guessing."""
LEARNED = 0.9
"""Part of ln C below which something had been learned, with many wrong labels too."""
FEWEST_STEPS, MOST_STEPS = 12, 60
"""Steps in a row that tell a collapse from a bad mini-batch: an epoch within these bounds."""
BLAMED = {"rho": "ρ", "lr": "learning rate"}
Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Collapse:
    """A network that forgot everything.

    Attributes:
        step: from which on it only guesses.
        epoch: of that step.
        back: the newest kept moment at which it had not forgotten; None where there is none.
        setting: what to lower, ``rho`` or ``lr``.
        sentence: what happened and what to do.
    """

    step: int
    epoch: int
    back: int | None
    setting: str
    sentence: str


def forgotten(loss: float, classes: int) -> bool:
    """Whether a mean loss is no better than that of guessing among so many classes."""
    return not loss < GUESSING * math.log(classes)


def collapse_of(
    steps: Columns,
    epochs: Columns,
    *,
    classes: int,
    began: Mapping[str, Any] | None = None,
    changes: Sequence[tuple[int, Mapping[str, Any]]] = (),
    states: Sequence[int] = (),
) -> Collapse | None:
    """Recognize a collapse that lasts until now.

    Args:
        steps, epochs: columns of the run's records.
        classes: how many the network chooses among.
        began: with which settings the run began; without it a first change counts as a raise.
        changes: settings changed by hand, as (step, {name: value}), in order.
        states: steps of the moments that were kept.

    Returns:
        None while the network knows more than guessing, or never did.
    """
    loss, at = steps["loss"], steps["step"]
    if len(loss) < 2 * FEWEST_STEPS or classes < 2:
        return None
    per_epoch = int(np.count_nonzero(steps["epoch"] == steps["epoch"][0]))
    width = min(max(per_epoch, FEWEST_STEPS), MOST_STEPS, len(loss) // 2)
    total = np.concatenate(([0.0], np.cumsum(loss)))
    mean = (total[width:] - total[:-width]) / width  # mean[i] is that of loss[i : i + width]
    guessing = math.log(classes)
    known = np.flatnonzero(mean < LEARNED * guessing)
    if not forgotten(float(mean[-1]), classes) or not len(known):
        return None
    last_known = int(known[-1]) + width - 1
    after = epochs["step"] > at[last_known] + width
    if np.any(epochs["train_accuracy"][after] > _clearly_better(classes)):
        return None  # noisy mini-batches, but the whole network still knows
    # The first step of the collapse: from here on no mini-batch was better than guessing.
    low = np.flatnonzero(loss < LEARNED * guessing)
    first = min(int(low[-1]) + 1, len(loss) - 1)
    step = int(at[first])
    known_changes = [(k, detail) for k, detail in changes if k <= step]
    guilty = _raised(began or {}, known_changes, per_epoch)
    # SGD has no ρ; another optimizer may leave out the second pass for some steps.
    plain = not np.isfinite(steps["perturbed_loss"][-MOST_STEPS:]).any()
    changed, setting = guilty or (None, "lr" if plain else "rho")
    limit = int(at[last_known]) if changed is None else min(changed, int(at[last_known]))
    back = max((k for k in states if width <= k <= limit), default=None)
    words = BLAMED[setting]
    if changed is None and not plain:
        words = "ρ or learning rate"
    sentence = "The step was too large: the network forgot everything. "
    if back is None:
        sentence += f"Start again with a smaller {words}"
    else:  # a smaller step alone does not lead out of there
        sentence += f"Go back to {_place(back, per_epoch)} and take a smaller {words}"
    return Collapse(step, int(steps["epoch"][first]), back, setting, f"{sentence}.")


def _raised(
    began: Mapping[str, Any], changes: Sequence[tuple[int, Mapping[str, Any]]], near: int
) -> tuple[int, str] | None:
    """Where ρ or the learning rate was last raised, and which; of several raises the first.

    Args:
        near: steps between two raises that are one: a slider that is dragged leaves many.
    """
    before = dict(began)
    found: tuple[int, str] | None = None
    newest = 0
    for k, detail in changes:
        for name in BLAMED:
            if name not in detail:
                continue
            if detail[name] > before.get(name, -math.inf):
                same = found is not None and found[1] == name and k - newest <= near
                found, newest = (found if same else (k, name)), k
            before[name] = detail[name]
    return found


def _clearly_better(classes: int) -> float:
    """An accuracy that no guessing reaches."""
    return 1 / classes + 0.15 * (1 - 1 / classes)


def _place(step: int, per_epoch: int) -> str:
    return f"epoch {step // per_epoch}" if step % per_epoch == 0 else f"step {step:,}"
