"""The lessons, in order; adding one is one entry here.

Importing this package does not import torch.
"""

from samar.ui.lessons import (
    controller,
    memory,
    pictures,
    radius,
    rate,
    reading,
    stability,
    valleys,
)
from samar.ui.lessons.frame import Lesson, show_lesson

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

__all__ = ["LESSONS", "Lesson", "show_lesson"]
