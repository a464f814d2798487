"""Which paths between two networks are wanted, as plain values; torch-free."""

from samar.connectivity.catalog import ALIGN, CURVES
from samar.data.catalog import AUGMENTATIONS
from samar.landscapes.settings import LEVELS
from samar.settings.declare import Settings, setting, titles

NO_PLANE = 0
BEND = "the bend and its plane"
"""The group of the settings of a trained curve."""


def _trained(settings: "ConnectivitySettings") -> bool:
    return settings.curve != "line"


class ConnectivitySettings(Settings):
    """A curve between two networks, how its bend is trained, and where the loss is measured."""

    curve: str = setting(
        "bezier",
        "The curve beside the straight line, which is always measured: none, a quadratic Bézier "
        "curve, or a chain of two lines. The last two have a bend that is trained (Garipov et al. "
        "2018).",
        choices=titles(CURVES),
    )
    align: str = setting(
        "both",
        "The second network as it is, or with its neurons put into the order of the first's "
        "(Git Re-Basin, weight matching), which changes nothing of what it computes; or both.",
        label="neuron alignment",
        choices=titles(ALIGN),
    )
    points: int = setting(
        33,
        "Points along each path, its ends included.",
        label="points on a path",
        choices=lambda: {n: str(n) for n in LEVELS},
    )
    images: int = setting(
        512,
        "How many images of each set, evenly spaced; at most as many as there are. As many "
        "training images are used to estimate BatchNorm's statistics at each point.",
        ge=2,
        le=1_000_000,
    )
    split: str = setting(
        "both",
        "Images to measure on.",
        label="images from",
        choices=lambda: {"test": "test set", "train": "training set", "both": "both sets"},
    )
    seed: int = setting(
        0,
        "Seed of the bend's training and of the order in which layers are aligned.",
        when=lambda s: s.curve != "line" or s.align != "none",
        ge=0,
        le=2**31 - 1,
    )
    steps: int = setting(
        600, "Steps for which the bend is trained.", group=BEND, when=_trained, ge=1, le=1_000_000
    )
    lr: float = setting(
        0.05,
        "Learning rate of the bend, which falls along a cosine to 0; SGD with momentum 0.9.",
        label="learning rate η",
        group=BEND,
        when=_trained,
        log=True,
        gt=0,
        le=10,
    )
    batch_size: int = setting(
        128, "Training images per step.", group=BEND, when=_trained, ge=2, le=8192
    )
    augment: str = setting(
        "auto",
        "Random changes to the images on which the bend is trained; auto is what suits the data.",
        label="augmentation",
        choices=titles({"auto": "what suits the data"} | AUGMENTATIONS),
        group=BEND,
        when=_trained,
    )
    plane: int = setting(
        17,
        "Points along each axis of the plane through both networks and the bend; 0 for none.",
        label="plane through the bend",
        choices=lambda: {NO_PLANE: "none"} | {n: f"{n} × {n}" for n in LEVELS},
        group=BEND,
        when=_trained,
    )

    @property
    def paths(self) -> tuple[tuple[str, bool], ...]:
        """The paths to measure: the curve of each, and whether the second network is aligned."""
        aligned = {"none": (False,), "weights": (True,), "both": (False, True)}[self.align]
        curves = ("line",) if self.curve == "line" else ("line", self.curve)
        wanted = tuple((curve, each) for curve in curves for each in aligned)
        plain = ("line", False)  # always there, to compare with
        return wanted if plain in wanted else (plain, *wanted)
