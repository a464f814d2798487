"""Charts of the lessons."""
