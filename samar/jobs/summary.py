"""A run in one flat row of numbers: where it stands and how λ moved."""

from typing import Any

import numpy as np

from samar.jobs.job import Job
from samar.jobs.store import Store

LAMBDA = ("lam_first", "lam_last", "lam_low", "lam_high")


def summary(store: Store, run: Job) -> dict[str, Any]:
    """Final figures of a run; accuracies and gap are fractions, λ figures ``None`` without λ."""
    last = run.last_epoch
    lam = store.records.steps(run.key)["lam"]
    lam = lam[np.isfinite(lam)]
    figures = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "gap")
    moved = (lam[0], lam[-1], lam.min(), lam.max()) if len(lam) else (None,) * 4
    return {
        "run": run.id,
        "status": run.status,
        "epochs": last.epoch if last else 0,
        "steps": run.done,
        "seconds": last.seconds if last else None,
        **{name: getattr(last, name) if last else None for name in figures},
        **{n: None if v is None else float(v) for n, v in zip(LAMBDA, moved, strict=True)},
    }
