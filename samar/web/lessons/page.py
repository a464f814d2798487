"""The lessons, in order; adding one is one entry here."""

from samar.web.lessons import (
    connected,
    controller,
    memory,
    radius,
    rate,
    reading,
    rescaling,
    stability,
    valleys,
)
from samar.web.lessons.frame import Lesson, show_lesson

LESSONS: tuple[Lesson, ...] = (
    valleys.LESSON,
    radius.LESSON,
    controller.LESSON,
    memory.LESSON,
    stability.LESSON,
    rescaling.LESSON,
    rate.LESSON,
    reading.LESSON,
    connected.LESSON,
)


def show() -> None:
    """Draw the page."""
    show_lesson(LESSONS)
