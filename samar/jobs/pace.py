"""The pace of a training run: whether it is observed, and whether it waits for its observer.

``off`` measures nothing. ``fast`` trains as fast as it can, and is measured as often as the
observer manages. ``epoch`` waits for the observer after every epoch. A number is the most epochs a
second. A pace changes no number of a run, so it is no setting: it lies beside them, and may change
while the run trains.
"""

import math
import os
from collections.abc import Mapping
from typing import Any

from samar.errors import ConfigError

OFF, FAST, EPOCH = "off", "fast", "epoch"
PACES = {
    OFF: "nothing is measured",
    FAST: "as fast as it trains",
    EPOCH: "a picture of every epoch",
}
PACE = "pace"
"""Among the inputs of a job, and in its summary where it was changed later."""
VARIABLE = "SAMAR_PACE"
"""Names the pace of runs that were given none."""
SLOWEST, FASTEST = 1e-4, 1e4


def parse_pace(text: str) -> str:
    """A pace as it is stored.

    Raises:
        ConfigError: it is none.
    """
    pace = str(text).strip().lower()
    if pace in PACES:
        return pace
    try:
        number = float(pace)
    except ValueError:
        number = math.nan
    if not SLOWEST <= number <= FASTEST:
        raise ConfigError(
            f"The pace is {text[:40]!r}, but it must be off, fast, epoch or the most epochs a "
            f"second, a number from {SLOWEST:g} to {FASTEST:g}."
        )
    return f"{number:g}"


def pace_of(inputs: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """The pace of a job: the last that it was given, or else the usual one.

    Raises:
        ConfigError: ``SAMAR_PACE`` names none.
    """
    given = summary.get(PACE) or inputs.get(PACE)
    return parse_pace(str(given or os.environ.get(VARIABLE) or FAST))


def most_epochs_a_second(pace: str) -> float:
    """The limit that a pace sets; infinite where it sets none."""
    return math.inf if pace in PACES else float(pace)
