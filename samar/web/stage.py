"""The stage's component, for jobs that are followed and for runs that were recorded."""

from typing import Any

from samar.web.server import STAGE_JS, component

VIEW = {"axis": "step", "smoothing": 0.8, "log": False, "unit": "steps"}

live_stage = component(
    "samar_stage", html="stage.html.j2", css="stage.css", js=STAGE_JS, classes=""
)
_replay = component(
    "samar_replay", html="stage.html.j2", css="stage.css", js=STAGE_JS, classes="stage-hero"
)


def replay(message: dict[str, Any], key: str, what: str = "", *, loop: bool = False) -> None:
    """Draw recorded runs.

    Args:
        message: from :func:`samar.charts.stage.recorded.recorded_stage`.
        what: tells one recording at this place from another.
        loop: whether they play round and round until they are paused.
    """
    data = {"numbers": f"{key} {what}", "still": message, "view": VIEW, "steer": None, "drawn": ""}
    _replay(key=key, data=data | {"loop": loop}, on_moved_change=lambda: None)
