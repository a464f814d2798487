"""Learning-rate schedules as a pure function of progress.

A function rather than a stateful scheduler: a resumed run needs no scheduler state, and a learning
rate changed by hand in mid-run simply scales what is left of the curve.
"""

import math


def lr_factor(schedule: str, epoch: float, epochs: int, warmup_epochs: float = 0.0) -> float:
    """Factor on the base learning rate after ``epoch`` (fractional) of ``epochs`` epochs.

    ``cosine`` is ½(1 + cos πp), ``step`` divides by ten at 50 % and at 75 %, ``constant`` is 1;
    with warm-up the factor first rises linearly and p counts what follows the warm-up.
    """
    if epoch < warmup_epochs:
        return epoch / warmup_epochs
    progress = min(1.0, (epoch - warmup_epochs) / (epochs - warmup_epochs))
    match schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        case "step":
            return 0.1 ** ((progress >= 0.5) + (progress >= 0.75))
        case "constant":
            return 1.0
    raise ValueError(f"schedule is {schedule!r}, but it must be cosine, step or constant")
