"""Start: a recorded run that moves at once, and three doors."""

from samar.web.start import show

show()
