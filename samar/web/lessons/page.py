"""The lessons, in order; adding one is one entry here."""

from samar.web.lessons import (
    controller,
    memory,
    pictures,
    radius,
    rate,
    reading,
    stability,
    valleys,
)
from samar.web.lessons.frame import Lesson

LESSONS: tuple[Lesson, ...] = (
    valleys.LESSON,
    radius.LESSON,
    controller.LESSON,
    memory.LESSON,
    stability.LESSON,
    pictures.LESSON,
    rate.LESSON,
    reading.LESSON,
)
