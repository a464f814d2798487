"""Which of the kept moments of a run to let go of when they take too much room."""

from collections.abc import Sequence
from dataclasses import dataclass

NEWEST_GOOD = 3


@dataclass(frozen=True)
class Moment:
    """A state that was kept: at which step, how large, and whether the network was any good."""

    step: int
    size: int
    good: bool


def to_drop(kept: Sequence[Moment], most_bytes: int, most: int) -> list[int]:
    """Steps of the moments to let go of, so that what is left fits.

    The newest moment and the newest good ones stay as long as there are others. Of those, the one
    whose neighbours are closest together goes first, so that what is left covers the whole run.

    Args:
        kept: in order of step.
        most_bytes: that all may take together.
        most: how many there may be.
    """
    left, dropped = list(kept), list[int]()
    while len(left) > 1 and (len(left) > most or sum(each.size for each in left) > most_bytes):
        good = [each for each in left if each.good][-NEWEST_GOOD:]
        spared = {left[-1].step, *(each.step for each in good)}
        free = [i for i, each in enumerate(left) if each.step not in spared]
        gone = left.pop(min(free, key=lambda i: _gap(left, i)) if free else 0)
        dropped.append(gone.step)
    return dropped


def _gap(left: Sequence[Moment], i: int) -> int:
    """Steps from the moment before to the moment after; the first of all is as good as any."""
    return left[i + 1].step - left[max(i - 1, 0)].step
