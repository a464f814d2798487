"""A store with nothing in it, and records to put there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from samar.jobs.job import Job
from samar.jobs.store import Store
from samar.jobs.training_records import EpochRecord, StepRecord
from samar.training.settings import TrainSettings


@pytest.fixture
def store(samar_home: Path) -> Store:
    return Store()


@pytest.fixture
def running(store: Store) -> Job:
    """A run that this very process claims to train."""
    store.create(TrainSettings(name="first"))
    run = store.claim_next("long", limit=1)
    assert run is not None
    store.beat(run, pid=os.getpid(), total=100, device="cpu")
    return run


@pytest.fixture
def step() -> Callable[..., StepRecord]:
    def make(step: int, **changes: float) -> StepRecord:
        nan = float("nan")
        plain = {
            "loss": 1 / step,
            "perturbed_loss": nan,
            "sharpness": nan,
            "ratio": nan,
            "lam": nan,
        }
        rest = {"grad_norm": 2.0, "lr": 0.1, "grad_evals": step, "seconds": 0.1 * step}
        return StepRecord(step=step, epoch=1, **{**plain, **rest, **changes})

    return make


@pytest.fixture
def epoch() -> Callable[[int, int], EpochRecord]:
    def make(epoch: int, step: int) -> EpochRecord:
        return EpochRecord(epoch, step, step, 1.0, 0.5, 0.9, 100, 0.6, 0.8, 0.1)

    return make
