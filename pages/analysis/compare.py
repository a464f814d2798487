"""Compare: several runs laid over each other, and whether flatness predicted generalization."""

from samar.web.compare.page import compare_page

compare_page()
