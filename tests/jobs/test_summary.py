"""How long a job will still take."""

import time
from dataclasses import fields, replace
from typing import Any

import pytest

from samar.jobs.job import Job
from samar.jobs.store import Store
from samar.jobs.summary import progress, seconds_left, summary
from samar.jobs.training_records import EpochRecord
from samar.kinds.evaluate import EvaluateSettings
from samar.kinds.landscape import LandscapeJobSettings


def left(running: Job, summary: dict[str, Any], done: int) -> float | None:
    started = time.time() - 60
    return seconds_left(replace(running, started=started, done=done, total=100, summary=summary))


def test_before_the_first_evaluation_steps_since_the_start_are_counted(running: Job) -> None:
    assert left(running, {}, 20) == pytest.approx(240, rel=0.1)
    assert left(running, {"begun": 10}, 20) == pytest.approx(480, rel=0.1)
    assert left(running, {"begun": 20}, 20) is None
    assert left(running, {"begun": 20}, 15) is None
    resumed = replace(running, done=20, total=100, summary={"begun": 20})
    assert progress(resumed) == "20 of 100"


def test_a_job_that_goes_on_does_not_do_again_what_it_did(store: Store) -> None:
    for settings, begun in ((LandscapeJobSettings(network="a"), 40), (EvaluateSettings(), None)):
        job = store.claim(store.create(settings))
        assert job is not None
        store.beat(job, done=40, total=100, summary='{"note": "kept"}')
        store.move(job, "stopped")
        store.requeue(store.get(job.id))
        again = store.claim(job.id)
        assert again is not None
        assert again.summary.get("begun") == begun
        assert again.summary["note"] == "kept"


def test_after_it_the_training_time_of_all_starts_is(running: Job) -> None:
    epoch = {"epoch": 1, "step": 50, "grad_evals": 50, "seconds": 100.0}
    zeros = ("train_loss", "train_accuracy", "train_images", "test_loss", "test_accuracy", "gap")
    summary = {"begun": 50, "epoch": epoch | dict.fromkeys(zeros, 0)}
    assert left(running, summary, 60) == pytest.approx(80)


def test_held_out_figures_where_there_are_some(store: Store, running: Job) -> None:
    epoch = {field.name: 1 for field in fields(EpochRecord)}
    for held_out in ({"val_loss": None, "val_accuracy": None}, {}):
        run = replace(running, summary={"epoch": epoch | held_out})
        found = summary(store, run)
        expected = (None, None) if held_out else (1, 1)
        assert (found["val_loss"], found["val_accuracy"]) == expected
        assert (found["test_loss"], found["test_accuracy"]) == (1, 1)


def test_lambda_first_last_lowest_and_highest_of_those_there_are(
    store: Store, running: Job, step
) -> None:
    names = ("lam_first", "lam_last", "lam_low", "lam_high")
    assert [summary(store, running)[name] for name in names] == [None] * 4
    values = [float("nan"), 2.0, 0.5, float("inf"), 3.0, 1.0, float("nan")]
    store.records.append(running.key, [step(n, lam=v) for n, v in enumerate(values, 1)])
    assert [summary(store, running)[name] for name in names] == [2.0, 1.0, 0.5, 3.0]
