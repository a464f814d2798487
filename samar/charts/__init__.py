"""Results in, plotly figures out; nothing here computes or reads a store."""
