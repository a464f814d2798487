"""Landscape: the loss around a trained network, or around two."""

from samar.web.measuring.landscape import LANDSCAPE
from samar.web.measuring.page import measuring_page

measuring_page(LANDSCAPE)
