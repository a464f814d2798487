"""Planes of which only the points that the surface needs are measured."""
