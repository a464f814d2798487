"""The stage within a page that opens from disk, where modules do not load: they stand in it."""

from typing import Any

from samar.charts.html.render import COMPONENTS, script

PARTS = ("canvas", "live", "stage", "stage_controls", "stage_data", "stage_tiles", "stage_timeline")
IMPORT = "import(`./${name}${new URL(import.meta.url).search}`)"
"""How a module asks for another; within a page the page answers."""
VIEW = {"axis": "step", "smoothing": 0.9, "log": False, "unit": "steps"}


def inline_stage(
    message: dict[str, Any], classes: str = "", *, loop: bool = False
) -> dict[str, Any]:
    """Values of the template ``inline_stage.html.j2``.

    Args:
        message: from :func:`samar.charts.stage.still.still`.
        classes: further ones of its element; ``stage-hero`` shows tiles and clock alone.
        loop: whether it plays round and round until it is paused.
    """
    texts = {f"{name}.js": (COMPONENTS / f"{name}.js").read_text("utf-8") for name in PARTS}
    parts = {name: text.replace(IMPORT, "samarPart(name)") for name, text in texts.items()}
    data = {"numbers": "", "still": message, "view": VIEW, "steer": None, "drawn": "", "loop": loop}
    return {
        "css": script("stage.css"),
        "content": {"parts": parts, "data": data},
        "classes": classes,
    }
