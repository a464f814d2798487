"""The stage's component, for jobs that are followed and for runs that were recorded."""

from typing import Any

from samar.web.server import STAGE_JS, component

VIEW = {"axis": "step", "smoothing": 0, "log": False, "unit": "steps"}

live_stage = component(
    "samar_stage", html="stage.html.j2", css="stage.css", js=STAGE_JS, classes=""
)
_replay = component(
    "samar_replay", html="stage.html.j2", css="stage.css", js=STAGE_JS, classes="stage-hero"
)


def replay(message: dict[str, Any], key: str) -> None:
    """Draw recorded runs, which play round and round until they are paused.

    Args:
        message: from :func:`samar.charts.stage.recorded.recorded_stage`.
    """
    data = {"numbers": key, "still": message, "view": VIEW, "steer": None, "drawn": ""}
    _replay(key=key, data=data | {"loop": True}, on_moved_change=lambda: None)
