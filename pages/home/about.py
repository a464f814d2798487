"""Method: what is computed, what the paper fixes, and what is ours."""

from samar.web.about.method import show

show()
