"""Method: what is computed, what the paper fixes, and what is our reading."""

from samar.web.about.method import show

show()
