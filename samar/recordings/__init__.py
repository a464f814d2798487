"""Recorded runs that ship with the app, and how they are made."""
