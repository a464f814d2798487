"""The curves between two networks and the ends they may have, by name; torch-free."""

CURVES = {
    "line": "straight line",
    "bezier": "Bézier curve",
    "chain": "chain with one bend",
}
"""The last two have a bend that is trained."""

ALIGN = {
    "none": "none",
    "weights": "weight matching",
    "both": "without and with",
}
"""Which second network a path ends at."""

SPLITS = {
    "test": ("test",),
    "train": ("train",),
    "both": ("train", "test"),
}
"""Images on which a path is measured, by the setting's value."""

GIVEN = "given"
SPLIT_TITLES = {"train": "training images", "test": "test images", GIVEN: "the given data"}
"""The last is what a script measures on."""


def path_title(curve: str, aligned: bool) -> str:
    """What a path is called in figures and tables."""
    title = CURVES[curve][0].upper() + CURVES[curve][1:]
    return f"{title}, aligned" if aligned else title
