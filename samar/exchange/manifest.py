"""What a run was trained with: versions, device, data, command. Plain values."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from samar import __version__
from samar.jobs.job import Job
from samar.jobs.store import Store

FORMAT = "samar run"
FORMAT_VERSION = 1
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "safetensors")


def manifest_of(store: Store, run: Job) -> dict[str, Any]:
    """The facts about a run that its records do not hold.

    ``trained_with`` is what the worker noted when it last started: versions, device, and the
    SHA-256 of images and labels (``data``; absent in runs of older versions).
    ``written_with`` is this installation.
    """
    events = store.records.events(run.key)
    started = [event.detail for event in events if event.kind == "started"]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "run": {
            "id": run.id,
            "title": run.title,
            "status": run.status,
            "message": run.message,
            "created": run.created,
            "started": run.started,
            "finished": run.finished,
            "steps": run.done,
            "total_steps": run.total,
            "device": run.device,
            "tags": list(run.tags),
        },
        "command": run.settings.command,
        "changed_by_hand": sum(event.kind == "change" for event in events),
        "dataset": run.settings.dataset,
        "data_sha256": started[-1].get("data") if started else None,
        "trained_with": started[-1] if started else {},
        "written_with": {
            "samar": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            **{name: _version(name) for name in PACKAGES},
        },
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
