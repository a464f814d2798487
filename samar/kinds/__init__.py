"""The kinds of jobs, one file each: its settings, and the work that meets the science."""
