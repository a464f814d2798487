"""What is hopeless is stopped, says why, and frees its place."""

import math
from collections.abc import Callable, Mapping
from statistics import median

import pytest

from samar.jobs.engine.local import schedule
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.training_records import EpochRecord
from samar.sweeps.search import FIRST_RUNS, hopeless, trial_of
from samar.sweeps.service import WHY_PRUNED, Sweeps
from samar.sweeps.spec import SweepSpec
from tests.waiting import wait

ENDED = [{n: 0.1 * n + 0.01 * k for n in range(1, 6)} for k in range(FIRST_RUNS)]
SPEC = SweepSpec(grid={"rho": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)}, seeds=1, prune=True)


def at(epoch: int, value: float) -> Mapping[int, float]:
    return dict.fromkeys(range(1, epoch + 1), value)


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_the_median_decides(epoch: int) -> None:
    middle = median(values[epoch] for values in ENDED)
    running = {"worse": at(epoch, middle - 0.001), "better": at(epoch, middle + 0.001)}
    assert hopeless(running, ENDED, 5) == (["worse"] if epoch > 1 else [])


def test_its_best_epoch_counts_and_the_first_runs_are_never_pruned() -> None:
    running = {"was good": {1: 0.1, 2: 0.9, 3: 0.0}, "is bad": at(3, 0.0)}
    assert hopeless(running, ENDED, 5) == ["is bad"]
    assert hopeless(running, ENDED[1:], 5) == []
    assert hopeless({"new": {}}, ENDED, 5) == []
    assert hopeless({}, ENDED, 5) == []


def test_an_unknown_accuracy_tells_nothing() -> None:
    unknown = at(5, math.nan)
    running = {"unknown": unknown, "worse": {**at(3, 0.0), 3: math.nan}}
    assert hopeless(running, [*ENDED, unknown], 5) == ["worse"]


def epochs(sweeps: Sweeps, run: Job, values: Mapping[int, float]) -> None:
    zero = (0.1, 0.9, 100, 0.2, 0.5, 0.4, 0.3)
    records = [EpochRecord(n, 10 * n, 10 * n, 1.0, *zero, v) for n, v in values.items()]
    sweeps.jobs.store.records.append(run.key, epochs=records)
    sweeps.jobs.store.beat(run, done=10 * len(values))


def test_a_hopeless_member_is_told_to_stop_once(
    sweeps: Sweeps, end: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMAR_MAX_RUNS", "2")
    store = sweeps.jobs.store
    sweep_id = sweeps.jobs.submit(SPEC)
    for k in range(FIRST_RUNS):
        run = next(r for r in store.all("train") if r.status == "running")
        epochs(sweeps, run, dict.fromkeys(range(1, 60), 0.5 + 0.01 * k))
        end(run, val=0.6)
        schedule(store)
    good, bad = (r for r in store.all("train") if r.status == "running")
    epochs(sweeps, good, at(20, 0.7))
    epochs(sweeps, bad, at(20, 0.3))
    for _ in range(2):
        schedule(store)
    assert store.orders.after(0, good.key) == []
    (order,) = store.orders.after(0, bad.key)
    assert (order.command, order.detail) == ("stop", {"why": WHY_PRUNED})
    assert store.move(bad, "stopped", WHY_PRUNED)
    end(good)
    schedule(store)
    sweep = sweeps.get(sweep_id)
    assert sweep.status == "finished"
    assert not sweeps.jobs.can_resume(sweep.job)  # what it skipped stays so


@pytest.mark.parametrize("grid", [{"label_noise": (0.0, 0.4)}, {"epochs": (20, 40)}])
def test_runs_of_another_task_or_length_have_medians_of_their_own(
    sweeps: Sweeps, end: Callable[..., None], monkeypatch: pytest.MonkeyPatch, grid: dict
) -> None:
    """Wrong labels cost accuracy whatever the radius, and a longer run is behind at first."""
    monkeypatch.setenv("SAMAR_MAX_RUNS", "20")
    store = sweeps.jobs.store
    sweeps.jobs.submit(SweepSpec(grid={**grid, "rho": SPEC.grid["rho"]}, seeds=1, prune=True))
    ((name, values),) = grid.items()
    groups = [
        [run for run in store.all("train") if getattr(run.settings, name) == value]
        for value in values
    ]
    for runs, best in zip(groups, (0.9, 0.6), strict=True):
        for run in runs[:FIRST_RUNS]:
            epochs(sweeps, run, at(20, best))
            end(run, val=best)
        good, bad = runs[FIRST_RUNS:]
        epochs(sweeps, good, at(20, best + 0.01))
        epochs(sweeps, bad, at(20, best - 0.01))
    schedule(store)
    told = {run.id for runs in groups for run in runs if store.orders.after(0, run.key)}
    assert told == {runs[-1].id for runs in groups}


def test_the_search_learns_that_it_was_pruned(sweeps: Sweeps, end: Callable[..., None]) -> None:
    store = sweeps.jobs.store
    spec = SweepSpec(grid={"rho": (0.05, 0.1, 0.2)}, seeds=1, prune=True, sampler="tpe", trials=3)
    sweep_id = sweeps.jobs.submit(spec)
    run = next(r for r in store.all("train") if r.status == "running")
    epochs(sweeps, run, at(20, 0.3))
    end(run, val=0.3, status="stopped")
    store.move(store.get(run.id), "stopped", WHY_PRUNED, only=("stopped",))
    trial = trial_of(spec, sweeps.members(sweeps.get(sweep_id))[:1])
    assert (trial.state.name, trial.value) == ("PRUNED", 0.3)


def test_a_worker_bears_the_reason(jobs: Jobs) -> None:
    base = {"images_per_class": 13, "batch_size": 16, "device": "cpu", "epochs": 2000}
    sweep_id = jobs.submit(SweepSpec(base=base, grid={"rho": (0.1,)}, seeds=1))
    (run,) = jobs.all("train", parent=sweep_id)
    wait(jobs, run.id, lambda job: job.done > 5)
    jobs.store.orders.post(run.key, "stop", why=WHY_PRUNED)
    run = wait(jobs, run.id, lambda job: not job.active)
    assert (run.status, run.message) == ("stopped", WHY_PRUNED)


@pytest.mark.parametrize("edits", [0, 1])
def test_an_edited_run_is_no_measure_for_the_others(
    sweeps: Sweeps, end: Callable[..., None], monkeypatch: pytest.MonkeyPatch, edits: int
) -> None:
    monkeypatch.setenv("SAMAR_MAX_RUNS", "20")
    store = sweeps.jobs.store
    sweeps.jobs.submit(SPEC)
    *ended, last = (run for run in store.all("train") if run.status == "running")
    for run in ended:
        epochs(sweeps, run, at(20, 0.6))
        end(run, val=0.6, edits=edits)
    epochs(sweeps, last, at(20, 0.5))
    schedule(store)
    assert [order.command for order in store.orders.after(0, last.key)] == ["stop"] * (1 - edits)
