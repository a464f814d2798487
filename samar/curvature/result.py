"""What the curvature instruments find: plain results that need no torch, and their JSON."""

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from samar.curvature.catalog import HESSIAN, MATRICES, PYHESSIAN
from samar.errors import DataError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Both algebraic ends of a spectrum.

    Attributes:
        values: the k largest eigenvalues, descending.
        residuals: ‖H y − θ y‖ of each, in the units of the eigenvalues.
        vectors: (k, n) tensor of orthonormal rows, also what a later call can start from;
            None where they were not kept.
        lowest: the k smallest eigenvalues, ascending; only as good as their residuals.
        lowest_residuals: ‖H y − θ y‖ of each.
        products: Hessian-vector products taken.
        converged: whether every wanted residual is below the tolerance.
        loss: mean cross-entropy at the weights.
        seconds: wall time.
    """

    values: tuple[float, ...]
    residuals: tuple[float, ...]
    vectors: Any
    lowest: tuple[float, ...]
    lowest_residuals: tuple[float, ...]
    products: int
    converged: bool
    loss: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Density:
    """A spectral density on a grid, with the quadrature that it was made from.

    Attributes:
        grid: eigenvalues, (GRID,).
        density: φ on the grid, integrates to 1.
        nodes, weights: quadrature of all probes together, ascending, (probes · steps,); the weights
            sum to 1.
        sigma: width of the Gaussians.
        outliers: resolved eigenvalues outside the central 99 % of the spectrum, ascending.
        lowest, highest: ends of the spectrum, from inside.
        trace: Hutchinson's estimate with these probes.
        trace_error: its standard error; NaN for a single probe.
        probes, steps, products: what it took.
    """

    grid: Floats
    density: Floats
    nodes: Floats
    weights: Floats
    sigma: float
    outliers: Floats
    lowest: float
    highest: float
    trace: float
    trace_error: float
    probes: int
    steps: int
    products: int


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error, 0 where it is exact."""

    value: float
    error: float


@dataclass(frozen=True)
class Trace:
    """The trace of the Hessian and of its diagonal blocks.

    Attributes:
        total: of the whole.
        layers: of each layer's block, by the layer's name; they sum to the total.
        products: Hessian-vector products taken.
    """

    total: Estimate
    layers: dict[str, Estimate]
    products: int


@dataclass(frozen=True)
class Layer:
    """Curvature of one layer.

    Attributes:
        name: of the module.
        parameters: trainable ones.
        trace, trace_error: of its block.
        eigenvalue: the block's largest.
        residual: ‖H y − λ y‖ of it.
        products: taken for the eigenvalue; each is cheaper than one of the whole network.
        converged: whether the residual is below the tolerance.
    """

    name: str
    parameters: int
    trace: float
    trace_error: float
    eigenvalue: float
    residual: float
    products: int
    converged: bool


@dataclass(frozen=True)
class Measure:
    """A measured sharpness.

    Attributes:
        name: a key of :data:`samar.curvature.catalog.MEASURES`.
        value: None if what it needs was not measured.
        error: standard error or residual; 0 where there is none but rounding.
    """

    name: str
    value: float | None
    error: float = 0.0


@dataclass(frozen=True, eq=False)
class Report:
    """What was measured, and everything needed to measure it again.

    Attributes:
        spectrum: eigenvalues with residuals.
        density, trace, layers, sharpness: None where not asked for.
        images: how many were used.
        seconds: wall time of everything.
        manifest: plain values: subject, request, versions, device.
        matrix: whose curvature, a key of :data:`samar.curvature.catalog.MATRICES`.
        gradient_norm: ‖∇f‖ at the weights; NaN in a report of an earlier version.
        gauss_newton: vᵀ G v of each eigenvector v of the Hessian; None where not asked for.
        held_out: vᵀ A v of each eigenvector v on other examples; None where not asked for.
        noise_spread: standard error of the noise scale over draws of the examples; None where there
            is none, or in a report of an earlier version.
    """

    spectrum: Spectrum
    density: Density | None
    trace: Trace | None
    layers: tuple[Layer, ...] | None
    sharpness: tuple[Measure, ...] | None
    images: int
    seconds: float
    manifest: dict[str, Any]
    matrix: str = HESSIAN
    gradient_norm: float = float("nan")
    gauss_newton: tuple[float, ...] | None = None
    held_out: tuple[Estimate, ...] | None = None
    noise_spread: float | None = None

    def end(self, value: float) -> str:
        """Which end of the spectrum one of the wanted eigenvalues is at.

        PyHessian's are the largest in modulus, so a negative one need not be the largest.
        """
        by_modulus = self.manifest.get("engine") == PYHESSIAN and value < 0
        return "largest in modulus" if by_modulus else "largest"

    @property
    def others(self) -> int:
        """On how many other examples ``held_out`` was measured: once as many as ``images``."""
        said = self.manifest.get("held_out", 0)
        return self.images if said is True else int(said)

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``json.dumps``; eigenvectors are left out."""
        spectrum = self.spectrum
        content: dict[str, Any] = {
            "eigenvalues": list(spectrum.values),
            "residuals": list(spectrum.residuals),
            "products": spectrum.products,
            "converged": spectrum.converged,
            "seconds": spectrum.seconds,
            "loss": spectrum.loss,
            "images": self.images,
            "lowest": list(spectrum.lowest),
            "lowest_residuals": list(spectrum.lowest_residuals),
            "matrix": self.matrix,
            "gradient_norm": None if math.isnan(self.gradient_norm) else self.gradient_norm,
        }
        if self.gauss_newton is not None:
            content["gauss_newton"] = list(self.gauss_newton)
        if self.held_out is not None:
            content["held_out"] = [asdict(each) for each in self.held_out]
        if self.noise_spread is not None:
            content["noise_spread"] = self.noise_spread
        if self.trace:
            content |= {"trace": self.trace.total.value, "trace_error": self.trace.total.error}
            content["trace_layers"] = {n: asdict(each) for n, each in self.trace.layers.items()}
            content["trace_products"] = self.trace.products
        if self.density:
            content["density"] = {
                name: value.tolist() if hasattr(value, "tolist") else value
                for name, value in vars(self.density).items()
            }
        if self.layers is not None:
            content["layers"] = [asdict(layer) for layer in self.layers]
        if self.sharpness is not None:
            content["sharpness"] = [asdict(measure) for measure in self.sharpness]
        return content | {"seconds_total": self.seconds, "manifest": self.manifest}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Report":
        """Read what :meth:`as_json` gave; eigenvectors are None.

        Raises:
            DataError: it is something else.
        """
        try:
            found = _Content.model_validate(content)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(map(str, problem["loc"]))
            raise DataError(
                f"This is no report of a curvature measurement ({where}: {problem['msg']})."
            ) from None
        spectrum = Spectrum(
            values=found.eigenvalues,
            residuals=found.residuals,
            vectors=None,
            lowest=found.lowest,
            lowest_residuals=found.lowest_residuals,
            products=found.products,
            converged=found.converged,
            loss=found.loss,
            seconds=found.seconds,
        )
        density = trace = None
        if found.density is not None:
            plain: Any = {n: np.array(v) if n in CURVES else v for n, v in found.density}
            density = Density(**plain)
        if found.trace is not None:
            total = Estimate(found.trace, found.trace_error)
            trace = Trace(total, found.trace_layers, found.trace_products)
        return cls(
            spectrum=spectrum,
            density=density,
            trace=trace,
            layers=found.layers,
            sharpness=found.sharpness,
            images=found.images,
            seconds=found.seconds_total,
            manifest=found.manifest,
            matrix=found.matrix,
            gradient_norm=found.gradient_norm,
            gauss_newton=found.gauss_newton,
            held_out=found.held_out,
            noise_spread=found.noise_spread,
        )


CURVES = ("grid", "density", "nodes", "weights", "outliers")
Count = Annotated[int, Field(ge=0, lt=2**53)]
Numbers = Annotated[tuple[FiniteFloat, ...], Field(max_length=100_000)]
Some = Annotated[tuple[FiniteFloat, ...], Field(min_length=1, max_length=100_000)]
Perhaps = Annotated[float, BeforeValidator(lambda value: np.nan if value is None else value)]
"""A number that may be NaN, which JSON writes as null."""


class _Density(BaseModel):
    """A density as :meth:`Report.as_json` writes it."""

    grid: Some
    density: Some
    nodes: Numbers
    weights: Numbers
    sigma: FiniteFloat
    outliers: Numbers
    lowest: FiniteFloat
    highest: FiniteFloat
    trace: FiniteFloat
    trace_error: Perhaps
    probes: Count
    steps: Count
    products: Count


class _Content(BaseModel):
    """What :meth:`Report.as_json` writes."""

    eigenvalues: Some
    residuals: Some
    products: Count
    converged: bool
    seconds: FiniteFloat
    loss: Perhaps
    images: Count
    lowest: Numbers
    lowest_residuals: Numbers
    trace: FiniteFloat | None = None
    trace_error: Perhaps = 0.0
    trace_layers: dict[str, Estimate] = {}
    trace_products: Count = 0
    density: _Density | None = None
    layers: tuple[Layer, ...] | None = None
    sharpness: tuple[Measure, ...] | None = None
    seconds_total: FiniteFloat
    manifest: dict[str, Any]
    matrix: Literal[tuple(MATRICES)] = HESSIAN  # type: ignore[valid-type]
    gradient_norm: Perhaps = float("nan")
    gauss_newton: Numbers | None = None
    held_out: tuple[Estimate, ...] | None = None
    noise_spread: FiniteFloat | None = None

    @model_validator(mode="after")
    def _of_one_length(self) -> "_Content":
        pairs = [(self.eigenvalues, self.residuals), (self.lowest, self.lowest_residuals)]
        if self.gauss_newton is not None:
            pairs.append((self.eigenvalues, self.gauss_newton))
        if self.held_out is not None:
            pairs.append((self.eigenvalues, tuple(each.value for each in self.held_out)))
        if self.density is not None:
            pairs.append((self.density.grid, self.density.density))
            pairs.append((self.density.nodes, self.density.weights))
        for values, others in pairs:
            if len(values) != len(others):
                raise ValueError(f"{len(values)} values stand beside {len(others)}")
        return self
