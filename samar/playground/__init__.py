"""Losses of two parameters on which the optimizers of ``samar.optim`` can be watched step by step.

>>> from samar.playground.settings import PlaygroundSettings
>>> from samar.playground.descent import descend
>>> paths = descend(PlaygroundSettings(landscape="valleys", optimizers=("sgd", "samar")))
>>> paths["samar"].positions.shape, paths["samar"].lam.shape
((151, 2), (150,))
>>> [round(float(path.curvatures[0])) for path in paths.values()]  # largest eigenvalues
[40, 1]
"""
