"""What can be asked of the curvature instruments: engines and measures; without torch."""

from dataclasses import dataclass

MAX_PRODUCTS, TRACE_PRODUCTS = 150, 60
"""Hessian-vector products at which eigenvalues are given up, and that a trace takes."""

BATCH_SIZE = {False: 64, True: 256}
"""Images per pass, on a CPU and on a GPU. Pieces of 128 fall out of a CPU's cache: ResNet-20 takes
longer. A GPU needs more of them to be busy; half as many are taken where its memory is short."""

KEPT_BYTES = 1 << 30
"""What kept graphs may take: those of some 650 images of 32 × 32 pixels in a ResNet-20, of 1,300
where the matrix is Gauss–Newton or Fisher. A product from a kept graph takes two thirds of the time
of one that makes it anew."""

KEPT_SHARE = 0.25
"""Of the free memory of a GPU that they may take."""

BASIS_BYTES = 2 << 30
"""What a basis of Lanczos vectors in the memory of the host may take, unless a smallest useful one
needs more."""

BASIS_SHARE = 0.5
"""Of a GPU's free memory that a basis may take; one that needs more lies on the host."""


@dataclass(frozen=True)
class MeasureInfo:
    """One number that is called sharpness.

    Attributes:
        title: its name.
        definition: formula in LaTeX.
        cost: what it takes, in gradients' or products' worth.
        caveat: what it does not say.
        invariant: whether rescaling a ReLU network's layers, which leaves the function as it is,
            leaves the number as it is too (Dinh et al. 2017, arXiv 1703.04933).
    """

    title: str
    definition: str
    cost: str
    caveat: str
    invariant: bool


@dataclass(frozen=True)
class MatrixInfo:
    """One matrix that says how a loss curves.

    Attributes:
        title: its name.
        symbol: letter for it.
        words: what it is, in a sentence.
    """

    title: str
    symbol: str
    words: str


HESSIAN, REST, COVARIANCE = "hessian", "rest", "covariance"

MATRICES = {
    HESSIAN: MatrixInfo("Hessian", "H", "Second derivatives of the loss."),
    "gauss_newton": MatrixInfo(
        "Gauss–Newton",
        "G",
        "The Hessian with the network replaced by its tangent; under cross-entropy it is also the "
        "exact Fisher matrix. No eigenvalue is negative.",
    ),
    REST: MatrixInfo(
        "Hessian − Gauss–Newton",
        "R",
        "What the bending of the network itself adds to the Hessian; the negative eigenvalues are "
        "its own.",
    ),
    "empirical_fisher": MatrixInfo(
        "empirical Fisher",
        "F",
        "Mean of g gᵀ over the gradients g of single images with their labels.",
    ),
    COVARIANCE: MatrixInfo(
        "gradient covariance",
        "Σ",
        "Spread of the gradients of single images around their mean: the noise of mini-batches. "
        "With its trace comes the noise scale.",
    ),
}
"""Formulas and sources are in :mod:`samar.curvature.matrices`."""

ENCLOSED = (
    "The largest eigenvalue over all images lies between the two numbers: the eigenvalue of the "
    "measured images is too large on average, and the value on other images is too small, up to "
    "its standard error."
)
"""What an eigenvalue and the curvature along its eigenvector on other images say together; why is
in :mod:`samar.curvature.held_out`."""

LANCZOS, PYHESSIAN = "lanczos", "pyhessian"
ENGINES = {
    LANCZOS: "our own: a residual for every eigenvalue, few products",
    PYHESSIAN: "the package, as a reference: deflated power iteration, the eigenvalues alone",
}

MEASURES = {
    "lambda_max": MeasureInfo(
        "largest eigenvalue h₁",
        r"\max_{\|v\|=1} v^\top H v",
        "about 3 products per eigenvalue",
        "Changes when layers are rescaled; says nothing about the other directions.",
        False,
    ),
    "lambda_ratio": MeasureInfo(
        "h₁ / h₅",
        r"h_1 / h_5",
        "none beyond the eigenvalues",
        "Tells one sharp direction from many; not how sharp any is.",
        False,
    ),
    "trace": MeasureInfo(
        "trace",
        r"\operatorname{tr} H = \sum_i h_i",
        "60 products",
        "An estimate with a standard error; negative eigenvalues cancel positive ones.",
        False,
    ),
    "sam_first_order": MeasureInfo(
        "SAM, first order",
        r"\rho\,\|\nabla f\|",
        "1 gradient",
        "Only the slope: zero at every stationary point, however curved.",
        False,
    ),
    "sam_ascent": MeasureInfo(
        "SAM, after the ascent",
        r"f(\theta + \rho\,\nabla f/\|\nabla f\|) - f(\theta)",
        "1 gradient, 1 forward pass",
        "One gradient step, not the maximum over the ball; what SAM and SAMAR see in training.",
        False,
    ),
    "gaussian": MeasureInfo(
        "average case",
        r"\mathbb E_z f(\theta + \tfrac{\rho}{\sqrt n} z) - f(\theta) "
        r"\approx \tfrac{\rho^2}{2n}\operatorname{tr} H",
        "40 forward passes",
        "Most directions are flat, so it is tiny beside the worst case at the same distance.",
        False,
    ),
    "asam_first_order": MeasureInfo(
        "ASAM, first order",
        r"\rho\,\|\,|\theta| \odot \nabla f\,\|",
        "1 gradient",
        "As for SAM; weights that are zero do not count.",
        True,
    ),
    "asam_ascent": MeasureInfo(
        "ASAM, after the ascent",
        r"f(\theta + \rho\,T^2\nabla f/\|T\nabla f\|) - f(\theta),\; "
        r"T = \operatorname{diag}|\theta|",
        "1 gradient, 1 forward pass",
        "ρ is relative to the weights here and cannot be compared with SAM's.",
        True,
    ),
    "scaled_lambda_max": MeasureInfo(
        "scale-adjusted h₁",
        r"\max_{\|v\|=1} v^\top T H T v,\; T = \operatorname{diag}|\theta|",
        "about 10 products",
        "Invariant to rescaling layers, not to every reparametrization.",
        True,
    ),
}
