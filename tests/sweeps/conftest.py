"""Sweeps whose members never train: their last epochs are written by hand."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.training_records import EpochRecord
from samar.settings.command import json_line
from samar.sweeps.service import Sweeps


@pytest.fixture
def sweeps(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    """The service over an empty store in which no worker is ever started."""
    monkeypatch.setattr("samar.jobs.engine.local.spawn", lambda job: 1)
    # No worker lives, and none is missed.
    monkeypatch.setattr("samar.jobs.store.Store.mark_interrupted", lambda self: None)
    return Sweeps(Jobs())


@pytest.fixture
def end(sweeps: Sweeps) -> Callable[..., None]:
    """``end(run, val, test)`` records a last epoch and moves the run to its end."""

    def end(
        run: Job,
        val: float = 0.5,
        test: float = 0.5,
        train: float = 0.9,
        status: str = "finished",
        grad_evals: int = 10,
        seconds: float = 1.0,
        edits: int = 0,
    ) -> None:
        store = sweeps.jobs.store
        record = EpochRecord(
            run.settings.epochs,
            10,
            grad_evals,
            seconds,
            train_loss=0.1,
            train_accuracy=train,
            train_images=100,
            test_loss=0.2,
            test_accuracy=test,
            gap=train - test,
            val_loss=0.3,
            val_accuracy=val,
        )
        job = store.get(run.id)
        store.records.append(run.key, epochs=[record])
        assert store.move(job, "running", only=("queued", "running"))
        edited = {"edits": edits} if edits else {}
        store.beat(job, summary=json_line({"epoch": asdict(record), **edited}))
        assert store.move(job, status)

    return end
