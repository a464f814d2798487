"""The Connectivity page."""
