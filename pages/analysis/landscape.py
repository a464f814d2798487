"""Landscape: the loss around a trained network, or around two."""

from samar.web.landscape.page import landscape_page

landscape_page()
