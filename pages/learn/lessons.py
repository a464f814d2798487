"""Lessons: one question each, with what to look for."""

from samar.ui.lessons import LESSONS, show_lesson

show_lesson(LESSONS)
