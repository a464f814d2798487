"""Curvature of the loss: eigenvalues, density, trace and sharpness of a network's Hessian."""
