"""The Method and Study pages."""
