"""Commands that train: one run, several side by side, and what is changed meanwhile."""
