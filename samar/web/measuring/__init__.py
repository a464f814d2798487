"""The pages that measure trained networks: Landscape, Curvature and Connectivity."""
