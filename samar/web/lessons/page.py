"""The lessons, in order; adding one is one entry here, its texts, and a file that draws it."""

from samar.optim.catalog import RULES
from samar.web.learn.glossary import prose
from samar.web.lessons import (
    connected,
    controller,
    memory,
    radius,
    rate,
    rescaling,
    stability,
    valleys,
)
from samar.web.lessons.frame import Lesson, Shown, show_lesson


def _draw_reading() -> Shown:
    titles = "; ".join(rule.title for rule in RULES.values())
    prose(READING.texts["Table"].replace("RULES", titles))
    finding = (
        "The ratio and its direction are the paper's. The formula, its constants and its bounds "
        "are ours: every result here with a moving λ is a result about our formula."
    )
    return Shown([], finding)


READING = Lesson("reading", "text", _draw_reading)
LESSONS: tuple[Lesson, ...] = (
    valleys.LESSON,
    radius.LESSON,
    controller.LESSON,
    memory.LESSON,
    stability.LESSON,
    rescaling.LESSON,
    rate.LESSON,
    READING,
    connected.LESSON,
)


def show() -> None:
    """Draw the page."""
    show_lesson(LESSONS)
