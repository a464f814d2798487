"""Playground: the optimizers on a loss of two parameters, step by step."""

from samar.web.playground.page import show

show()
