"""Connectivity: paths of low loss between two trained networks."""

from samar.web.connectivity.page import connectivity_page

connectivity_page()
