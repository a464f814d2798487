"""Where a job keeps its files."""

import tempfile
from contextlib import suppress
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


def reason_path(job_id: str) -> Path:
    """Why the worker could not go on, written where the store could not be: its bytes are taken
    from the disk when the job begins, so that there is room for it when there is none."""
    return job_dir(job_id) / ".reason"


def spare_reason_path(job_id: str) -> Path:
    """In its stead where there was no room from the beginning: perhaps on another disk."""
    return Path(tempfile.gettempdir()) / f"samar-{job_id}.reason"


def read_reason(job_id: str) -> str:
    """What the worker left there; empty for nothing."""
    for path in (reason_path(job_id), spare_reason_path(job_id)):
        with suppress(OSError):
            if reason := path.read_text(encoding="utf-8", errors="replace").strip():
                return reason
    return ""


def log_path(job_id: str) -> Path:
    """What the job's worker printed."""
    return job_dir(job_id) / "worker.log"
