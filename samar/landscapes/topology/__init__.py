"""The shape of a sampled loss: its minima, where their basins merge, and numbers about both."""
