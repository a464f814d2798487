"""Curvature: how curved the loss is at a network's weights, and in how many directions."""

from samar.web.measuring.curvature import CURVATURE
from samar.web.measuring.page import measuring_page

measuring_page(CURVATURE)
