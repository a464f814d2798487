"""Eigenvalues, density and trace of a matrix that is known by its products."""
