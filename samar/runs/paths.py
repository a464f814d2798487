"""Where a run keeps its files."""

from pathlib import Path

from samar.home import home

SNAPSHOT = "snapshot"
"""Kind of the artifacts that are weights kept on the way."""


def run_dir(run_id: str) -> Path:
    """Where one run keeps its config, weights, resume state and log."""
    return home() / "runs" / run_id


def config_path(run_id: str) -> Path:
    """The run's settings as JSON."""
    return run_dir(run_id) / "config.json"


def weights_path(run_id: str) -> Path:
    """The run's latest weights."""
    return run_dir(run_id) / "weights.safetensors"


def resume_path(run_id: str) -> Path:
    """What the run needs to continue."""
    return run_dir(run_id) / "resume.pt"


def film_path(run_id: str, kind: str, step: int) -> Path:
    """One picture of the run's landscape."""
    return run_dir(run_id) / "film" / f"{kind}-{step}.npz"


def snapshot_path(run_id: str, step: int) -> Path:
    """The weights at one step."""
    return run_dir(run_id) / "snapshots" / f"weights-{step}.safetensors"


def log_path(run_id: str) -> Path:
    """What the run's worker printed."""
    return run_dir(run_id) / "worker.log"
