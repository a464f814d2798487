"""Lessons: one question each, with what to look for."""

from samar.web.lessons.page import show

show()
