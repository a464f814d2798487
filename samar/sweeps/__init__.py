"""Sweeps: many runs that differ in chosen settings, repeated over seeds, compared fairly."""
