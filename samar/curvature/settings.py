"""What to measure of the Hessian, and how exactly, as plain values that check themselves."""

from samar.curvature.catalog import ENGINES, MAX_PRODUCTS, TRACE_PRODUCTS
from samar.settings.declare import Settings, setting


class CurvatureSettings(Settings):
    """Whose eigenvalues to how many digits, on which images, and what to measure besides."""

    top: int = setting(5, "How many of the largest eigenvalues.", label="eigenvalues", ge=1, le=100)
    tol: float = setting(
        1e-3,
        "Largest residual of an eigenvalue, relative to it. The true error is far smaller.",
        label="tolerance",
        log=True,
        gt=0,
        lt=1,
    )
    images: int = setting(256, "How many images, evenly spaced over the split.", ge=1, le=1_000_000)
    split: str = setting(
        "test",
        "Images to measure on.",
        label="images from",
        choices=lambda: {"test": "test set", "train": "training set"},
    )
    engine: str = setting(
        "lanczos",
        "; ".join(f"{name}: {words}" for name, words in ENGINES.items()) + ".",
        choices=lambda: {name: name for name in ENGINES},
    )
    both_ends: bool = setting(
        False,
        "The smallest eigenvalues must converge too.",
        label="smallest eigenvalues must converge too",
    )
    density: bool = setting(
        False, "Spectral density by stochastic Lanczos quadrature: 240 products."
    )
    trace: bool = setting(False, "Trace by Hutch++ with its standard error.")
    trace_products: int = setting(
        TRACE_PRODUCTS,
        "Hessian-vector products for the trace.",
        label="products for the trace",
        ge=6,
        le=100_000,
        when=lambda settings: settings.trace or settings.layers,
    )
    layers: bool = setting(False, "Trace and largest eigenvalue of every layer's block.")
    sharpness: bool = setting(False, "Table of every measure that is called sharpness.")
    rho: float = setting(
        0.05,
        "Radius of the sharpness measures.",
        label="radius ρ of the sharpness measures",
        gt=0,
        le=100,
    )
    max_products: int = setting(
        MAX_PRODUCTS,
        "Give up after so many Hessian-vector products.",
        label="products at most",
        ge=1,
        le=100_000,
    )
    seed: int = setting(0, "Seed of every random vector.", ge=0, le=2**31 - 1)
