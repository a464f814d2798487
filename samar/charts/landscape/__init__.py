"""Charts of a landscape."""
