"""Engines: what starts the work of jobs, and says whether it lives."""
