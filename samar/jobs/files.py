"""Where a job keeps its files."""

from pathlib import Path

from samar.home import home


def job_dir(job_id: str) -> Path:
    """Where one job keeps its artifacts, resume state and log."""
    return home() / "runs" / job_id


def weights_path(job_id: str) -> Path:
    """A training run's latest weights."""
    return job_dir(job_id) / "weights.safetensors"


def resume_path(job_id: str) -> Path:
    """What a training run needs to continue."""
    return job_dir(job_id) / "resume.pt"


def log_path(job_id: str) -> Path:
    """What the job's worker printed."""
    return job_dir(job_id) / "worker.log"


def film_path(job_id: str, kind: str, step: int) -> Path:
    """One landscape of a training run at a step."""
    return job_dir(job_id) / "film" / f"{kind}-{step}.npz"


def snapshot_path(job_id: str, step: int) -> Path:
    """A training run's weights at one step."""
    return job_dir(job_id) / "snapshots" / f"weights-{step}.safetensors"
