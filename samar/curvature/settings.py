"""What to measure of the curvature, and how exactly, as plain values that check themselves."""

from pydantic import model_validator
from typing_extensions import Self

from samar.curvature.catalog import (
    COVARIANCE,
    ENCLOSED,
    ENGINES,
    HESSIAN,
    LANCZOS,
    MATRICES,
    MAX_PRODUCTS,
    PYHESSIAN,
    TRACE_PRODUCTS,
)
from samar.settings.declare import Settings, setting


class CurvatureSettings(Settings):
    """Whose eigenvalues to how many digits, on which images, and what to measure besides."""

    matrix: str = setting(
        HESSIAN,
        " ".join(f"{info.title}: {info.words}" for info in MATRICES.values()),
        choices=lambda: {name: info.title for name, info in MATRICES.items()},
    )
    engine: str = setting(
        LANCZOS,
        "; ".join(f"{name}: {words}" for name, words in ENGINES.items()) + ".",
        choices=lambda: {name: name for name in ENGINES},
        when=lambda settings: settings.matrix == HESSIAN,
    )
    top: int = setting(5, "How many of the largest eigenvalues.", label="eigenvalues", ge=1, le=100)
    images: int = setting(256, "How many images, evenly spaced over the split.", ge=1, le=1_000_000)
    held_out: int = setting(
        0,
        f"Measure each eigenvector's curvature on so many other images too, with its standard "
        f"error; 0 for none. {ENCLOSED}",
        label="other images",
        ge=0,
        le=1_000_000,
        when=lambda settings: settings.matrix != COVARIANCE and settings.engine != PYHESSIAN,
    )
    tol: float = setting(
        1e-3,
        "Largest residual of an eigenvalue, relative to it. The true error is far smaller.",
        label="tolerance",
        log=True,
        gt=0,
        lt=1,
    )
    density: bool = setting(
        False, "Spectral density by stochastic Lanczos quadrature: 240 products."
    )
    trace: bool = setting(False, "Trace by Hutch++ with its standard error.")
    layers: bool = setting(False, "Trace and largest eigenvalue of every layer's block.")
    sharpness: bool = setting(
        False,
        "Table of every measure that is called sharpness.",
        when=lambda settings: settings.matrix == HESSIAN and settings.engine != PYHESSIAN,
    )
    gauss_newton: bool = setting(
        False,
        "How much of each eigenvalue is Gauss–Newton: one more product for each.",
        label="Gauss–Newton part",
        when=lambda settings: settings.matrix == HESSIAN and settings.engine != PYHESSIAN,
    )
    split: str = setting(
        "test",
        "Images to measure on.",
        group="more",
        label="images from",
        choices=lambda: {"test": "test set", "train": "training set"},
    )
    rho: float = setting(
        0.05,
        "Radius of the sharpness measures.",
        group="more",
        label="radius ρ of the sharpness measures",
        gt=0,
        le=100,
        when=lambda settings: settings.sharpness,
    )
    seed: int = setting(0, "Seed of every random vector.", group="more", ge=0, le=2**31 - 1)
    max_products: int = setting(
        MAX_PRODUCTS,
        "Give up after so many Hessian-vector products.",
        group="more",
        label="products at most",
        ge=1,
        le=100_000,
    )
    trace_products: int = setting(
        TRACE_PRODUCTS,
        "Hessian-vector products for the trace.",
        group="more",
        label="products for the trace",
        ge=6,
        le=100_000,
        when=lambda settings: settings.trace or settings.layers,
    )
    both_ends: bool = setting(
        False,
        "The smallest eigenvalues must converge too.",
        group="more",
        label="smallest eigenvalues must converge too",
        when=lambda settings: settings.engine != PYHESSIAN,
    )

    @model_validator(mode="after")
    def _fit_the_matrix(self) -> Self:
        usual = {"engine": LANCZOS, "sharpness": False, "gauss_newton": False, "held_out": 0}
        for name, plain in usual.items():
            if getattr(self, name) != plain and not self.applies(name):
                by_matrix = name == "engine" or self.engine == LANCZOS
                what = f"matrix {self.matrix!r}" if by_matrix else f"engine {self.engine!r}"
                raise ValueError(
                    f"{name.replace('_', '-')} is not for {what}; leave one of them out."
                )
        if self.held_out == 1:
            raise ValueError(
                "held-out is 1, but a standard error needs at least 2 other images; choose more, "
                "or 0 for none."
            )
        return self
