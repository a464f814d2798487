"""Lecture: 45 minutes with a projector, what to click, what is seen and what to say."""

from samar.web.learn.lecture import show

show()
