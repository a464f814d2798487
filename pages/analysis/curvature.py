"""Curvature: how curved the loss is at a network's weights, and in how many directions."""

from samar.web.curvature.page import curvature_page

curvature_page()
