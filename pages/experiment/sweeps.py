"""Sweeps: many settings over several seeds, compared fairly."""

from samar.web.sweeps.view import show

show()
