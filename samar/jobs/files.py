"""Where a job keeps its files."""

from pathlib import Path

from samar.home import jobs_folder


def job_dir(job_id: str) -> Path:
    """Where one job keeps its artifacts, resume state and log."""
    return jobs_folder() / job_id


def weights_path(job_id: str) -> Path:
    """A training run's latest weights."""
    return job_dir(job_id) / "weights.safetensors"


def resume_path(job_id: str) -> Path:
    """What a training run needs to continue."""
    return job_dir(job_id) / "resume.pt"


def state_file(step: int) -> str:
    """Within a training run's folder: what it needs to continue from an earlier step."""
    return f"states/state-{step}.pt"


def log_path(job_id: str) -> Path:
    """What the job's worker printed."""
    return job_dir(job_id) / "worker.log"
