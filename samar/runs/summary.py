"""A run in one flat row of numbers: where it stands and how λ moved."""

from typing import Any

import numpy as np

from samar.runs.store import Run, Store


def summary(store: Store, run: Run) -> dict[str, Any]:
    """Final figures of a run; accuracies and gap are fractions, λ figures ``None`` without λ."""
    last = run.last_epoch
    lam = store.series.steps(run.key)["lam"]
    lam = lam[np.isfinite(lam)]
    figures = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "gap")
    moved = {
        "lam_first": lambda: lam[0],
        "lam_last": lambda: lam[-1],
        "lam_low": lam.min,
        "lam_high": lam.max,
    }
    return {
        "run": run.id,
        "status": run.status,
        "epochs": last.epoch if last else 0,
        "steps": run.step,
        "seconds": last.seconds if last else None,
        **{name: getattr(last, name) if last else None for name in figures},
        **{name: float(value()) if len(lam) else None for name, value in moved.items()},
    }
