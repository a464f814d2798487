"""What landscape is wanted, as plain values that check themselves; torch-free."""

from dataclasses import dataclass

from samar.device.catalog import BF16, FP32
from samar.errors import ConfigError
from samar.settings.declare import Settings, setting, titles


@dataclass(frozen=True)
class DirectionInfo:
    """A kind of direction.

    Attributes:
        others: further networks that a line needs; a plane needs one more where there are any.
        span: half the width looked at, in the direction's own units, unless another is chosen.
    """

    title: str
    help: str
    others: int = 0
    span: float = 1.0


DIRECTIONS = {
    "filter": DirectionInfo(
        "Random, filter-normalized",
        "Gaussian, each filter as long as the network's own filter (Li et al. 2018).",
    ),
    "layer": DirectionInfo(
        "Random, layer-normalized",
        "Gaussian, each layer as long as the network's own layer; small filters drown in it.",
    ),
    "raw": DirectionInfo(
        "Random, not normalized",
        "Plain Gaussian: shows the scale of the weights, not the shape of the loss.",
        span=0.02,
    ),
    "between": DirectionInfo(
        "Between networks",
        "The line to a second network, or the plane through three.",
        others=1,
    ),
    "hessian": DirectionInfo(
        "Top eigenvectors",
        "Where the loss curves most: eigenvectors of the Hessian, of length one.",
        span=0.2,
    ),
    "pca": DirectionInfo(
        "Main directions of a path",
        "Where a sequence of snapshots moved most, seen from its end.",
        others=2,
    ),
}

BATCHNORM = {
    "fixed": "the network's running statistics",
    "recalibrate": "estimated anew at each point",
}

LEVELS = (5, 9, 17, 33, 65)
"""Points along an axis; each level holds all points of the one before."""

SHAPES = {1: "line", 2: "plane"}

SAMPLING = {
    "grid": "the whole grid",
    "adaptive": "adaptive",
}


class LandscapeSettings(Settings):
    """A line or a plane through the weights, and the images on which loss is measured.

    ``span`` is half the width. Random directions: −span to span. Between networks, which sit at 0
    and 1: 0.5 − span to 0.5 + span. Main directions of a path: the path's own extent, widened on
    each side by span / 4 of it or a little more, so that the network is a point of every grid.
    """

    directions: str = setting("filter", "The kind of directions.", choices=titles(DIRECTIONS))
    dim: int = setting(
        2,
        "How many directions: a line or a plane.",
        label="shape",
        choices=lambda: SHAPES,
    )
    points: int = setting(
        17,
        "Points along each axis at the finest level.",
        label="finest grid",
        choices=lambda: {n: str(n) for n in LEVELS},
    )
    sampling: str = setting(
        "grid",
        "Measure every point of the finest grid, or only those that the surface needs: the others "
        "are interpolated, and the estimated error is shown. A line is always measured whole.",
        label="points measured",
        choices=titles(SAMPLING),
        when=lambda s: s.dim == 2,
    )
    tolerance: float = setting(
        0.1,
        "Adaptive points stop when the loss between them is estimated to be at most this share "
        "too high or too low: 0.1 for 10 %.",
        label="tolerated error",
        log=True,
        when=lambda s: s.allowed_error is not None,
        ge=1e-3,
        le=1,
    )
    span: float | None = setting(
        None,
        "Range of the landscape on each side, in units of the directions: 1 for normalized random "
        "ones is as long as the weights that they move. Without one it is what suits them: "
        + ", ".join(f"{info.span:g} for {name}" for name, info in DIRECTIONS.items())
        + ".",
        label="range (±)",
        log=True,
        ge=1e-4,
        le=100,
    )
    seed: int = setting(
        0,
        "Seed of random directions.",
        when=lambda s: s.directions not in ("between", "pca"),
        ge=0,
        le=2**31 - 1,
    )
    images: int = setting(
        512,
        "How many images, evenly spaced over the split; at most as many as there are.",
        ge=1,
        le=1_000_000,
    )
    split: str = setting(
        "test",
        "Images to measure on.",
        group="more",
        label="images from",
        choices=lambda: {"test": "test set", "train": "training set"},
    )
    batchnorm: str = setting(
        "auto",
        "BatchNorm statistics. They belong to the weights they were collected at: between two "
        "networks they have to be estimated anew; around one network they are kept.",
        group="more",
        label="BatchNorm statistics",
        word="bn",
        choices=titles({"auto": "what suits the directions"} | BATCHNORM),
    )
    rho: float = setting(
        0.0,
        "Radius of the ball whose edge is drawn, in which SAM looks for the highest loss; 0 draws "
        "none.",
        label="radius ρ",
        ge=0,
        le=100,
    )
    path: bool = setting(
        False,
        "Show the weights that the run kept on its way, as far as they lie near it. Each "
        "is coloured by its own loss, not by that of the plane under it. Always shown with pca.",
        label="show the run's path",
        when=lambda s: s.directions not in ("between", "pca"),
    )
    precision: str = setting(
        FP32,
        "fp32, or bf16 for a quick preview, good to about 1 %; worse where the loss is small, so "
        "that adaptive points need fp32.",
        group="more",
        when=lambda s: s.allowed_error is None,
        choices=lambda: {FP32: FP32, BF16: "bf16 (preview)"},
    )

    @property
    def first_picture(self) -> int:
        """The points after which there is something to show."""
        return int(LEVELS[0] ** self.dim)

    @property
    def reach(self) -> float:
        """The span: the one that was given, or what suits the directions."""
        return DIRECTIONS[self.directions].span if self.span is None else self.span

    @property
    def allowed_error(self) -> float | None:
        """The tolerance of adaptive sampling; None where every point is measured."""
        return self.tolerance if self.sampling == "adaptive" and self.dim == 2 else None

    @property
    def fixes_batchnorm(self) -> bool:
        """Whether running statistics are kept."""
        auto = "recalibrate" if self.directions == "between" else "fixed"
        return (auto if self.batchnorm == "auto" else self.batchnorm) == "fixed"

    def require_others(self, given: int) -> None:
        """Check how many further networks came along.

        Raises:
            ConfigError: too few or too many.
        """
        least = DIRECTIONS[self.directions].others
        wanted = least + (self.dim - 1 if least else 0)
        enough = given >= wanted if self.directions == "pca" else given == wanted
        if not enough:
            more = "or more " if self.directions == "pca" else ""
            raise ConfigError(
                f"directions {self.directions!r} with dim {self.dim} need {wanted} {more}further "
                f"networks besides the first, got {given}; name them with --with, or give "
                "a run that kept weight snapshots."
                if wanted
                else f"directions {self.directions!r} need no further networks, got {given}; "
                "choose between or pca, or leave --with out."
            )
