"""The study that the defaults come from: protocol, rows, tables."""
