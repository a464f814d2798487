"""Learning-rate schedules as a pure function of progress.

A function rather than a stateful scheduler: a resumed run needs no scheduler state, and a learning
rate changed by hand in mid-run simply scales what is left of the curve.
"""

import math

HOLD = 0.43
"""Share of the training before the learning rate falls, as in Temperon, arXiv 2609.17575."""


def lr_factor(schedule: str, epoch: float, epochs: int, warmup_epochs: float = 0.0) -> float:
    """Factor on the base learning rate after ``epoch`` (fractional) of ``epochs`` epochs.

    ``cosine`` is ½(1 + cos πp), ``hold_cosine`` is 1 for 43 % of the training and falls so over the
    rest, ``step`` divides by ten at 50 % and at 75 %, ``constant`` is 1; with warm-up the factor
    first rises linearly and p counts what follows the warm-up.
    """
    if epoch < warmup_epochs:
        return epoch / warmup_epochs
    progress = min(1.0, (epoch - warmup_epochs) / (epochs - warmup_epochs))
    match schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        case "hold_cosine":
            return 0.5 * (1 + math.cos(math.pi * max(0.0, progress - HOLD) / (1 - HOLD)))
        case "step":
            return 0.1 ** ((progress >= 0.5) + (progress >= 0.75))
        case "constant":
            return 1.0
    raise ValueError(
        f"schedule is {schedule!r}, but it must be cosine, hold_cosine, step or constant"
    )
