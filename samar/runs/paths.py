"""Where samar keeps runs and images: ``SAMAR_HOME``, or the platform's user data directory."""

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The folder that holds the store, the runs' files and downloaded images."""
    chosen = os.environ.get("SAMAR_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("samar"))


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


def log_path(run_id: str) -> Path:
    """What the run's worker printed."""
    return run_dir(run_id) / "worker.log"
