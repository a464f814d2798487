"""Stand-alone HTML pages."""
