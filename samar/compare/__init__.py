"""Several runs beside each other: curves, groups of seeds, settings, flatness."""
