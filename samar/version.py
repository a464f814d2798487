"""Version of samar, which records, archives and results name."""

__version__ = "0.2.0"
