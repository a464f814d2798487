"""samar: train image classifiers with adaptive sharpness regularization and see what moves."""

__version__ = "0.1.0"
