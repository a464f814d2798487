"""Connectivity: paths of low loss between two trained networks."""

from samar.web.measuring.connectivity import CONNECTIVITY
from samar.web.measuring.page import measuring_page

measuring_page(CONNECTIVITY)
