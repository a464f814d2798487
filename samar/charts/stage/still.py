"""What the stage is told besides the records, and all of it at once where nothing will follow."""

from collections.abc import Sequence
from typing import Any

from samar.charts.stage.feed import Feed, StageRun
from samar.charts.stage.tiles import tiles
from samar.charts.stage.words import people, status_line, status_word, story
from samar.jobs.job import Job


def said(
    whole: Job | None,
    runs: Sequence[StageRun],
    states: dict[str, str],
    unobserved: str = "",
) -> dict[str, Any]:
    """Tiles and words.

    Args:
        whole: the run or race that is shown; None for runs that were put together.
        states: the status of those that diverged or failed, by id.
        unobserved: why nothing is measured on the way, in a sentence; empty if it is.
    """
    diverged = [job for job, status in states.items() if status == "diverged"]
    return {
        "spec": tiles(runs, unobserved),
        "words": {
            "word": status_word(whole, runs),
            "status": status_line(whole, runs),
            "story": story(whole, runs, "step", diverged),
            "story_seconds": story(whole, runs, "seconds", diverged),
            "people": people(runs, states),
        },
    }


def still(runs: Sequence[StageRun], whole: Job | None = None) -> dict[str, Any]:
    """All that the stage is told of runs that are over."""
    return Feed().message(runs) | said(whole, runs, {}) | {"state": "", "job": None}
