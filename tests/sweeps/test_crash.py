"""A sweep killed half-way and resumed: every member exactly once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from samar.jobs.local import schedule
from samar.jobs.service import Jobs
from samar.sweeps import store as sweep_store
from samar.sweeps.service import Sweeps
from samar.sweeps.spec import SweepSpec
from samar.sweeps.store import Sweep
from samar.sweeps.values import Range, same_setting

ROOT = Path(__file__).parents[2]
SEARCH = """
import samar.jobs.local as launcher
from samar.jobs.service import Jobs
from samar.jobs.sweeps import Sweeps
from samar.training.records import EpochRecord

launcher._spawn = lambda run: None
store = Jobs().store
while True:
    launcher.schedule(store)
    for run in store.all():
        if run.status == "running":
            record = EpochRecord(1, 1, 1, 1.0, 0.1, 0.9, 9, 0.2, 0.8, 0.1, 0.3, run.settings.rho)
            store.records.append(run.key, epochs=[record])
            store.move(run, "finished")
"""


def wait(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def real(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sweeps]:
    """The service with real workers, none of which outlives the test."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    service = Sweeps(Jobs())
    yield service
    for run in service.runs.store.all():
        if run.pid and psutil.pid_exists(run.pid):
            os.kill(run.pid, signal.SIGKILL)


def test_killed_in_training_and_resumed(real: Sweeps) -> None:
    spec = SweepSpec(
        grid={"optimizer": ("sgd", "samar", "sam")},
        seeds=1,
        base={"images_per_class": 10, "epochs": 30, "checkpoint_seconds": 0.0, "device": "cpu"},
    )
    sweep_id = real.start(spec)

    def second_trains() -> bool:
        # Read without tending, as if this process did not exist.
        members = real.store.members(real.store.get(sweep_id))
        return members[0].status == "finished" and members[1].step > 2

    wait(second_trains)
    killed = real.store.members(real.store.get(sweep_id))[1]
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    again = Sweeps(Jobs())
    wait(lambda: again.runs.get(killed.id).status == "interrupted")
    again.resume(sweep_id)
    wait(lambda: again.get(sweep_id).status == "finished")
    members = again.members(again.get(sweep_id))
    assert {run.status for run in members} == {"finished"}
    trained = [(run.settings.optimizer, run.settings.seed) for run in members]
    assert trained == [("sgd", 0), ("samar", 0), ("sam", 0)]
    for run in members:
        steps = again.runs.store.records.steps(run.key)["step"]
        assert steps.tolist() == list(range(1, 31))
        starts = [e for e in again.runs.store.records.events(run.key) if e.kind == "started"]
        assert len(starts) == (2 if run.id == killed.id else 1)


def test_killed_in_a_search_and_resumed(
    sweeps: Sweeps, end: Callable[..., None], samar_home: Path
) -> None:
    spec = SweepSpec(
        sampler="tpe", trials=8, seeds=2, ranges={"rho": Range(low=0.01, high=0.9, log=True)}
    )
    sweep_id = sweeps.start(spec)
    code = [sys.executable, "-W", "ignore", "-c", SEARCH]
    searcher = subprocess.Popen(code, cwd=ROOT)
    try:
        wait(lambda: sweep_at(sweeps, sweep_id).members >= 6)
    finally:
        searcher.kill()
        searcher.wait()
    before = [run.id for run in sweeps.members(sweep_at(sweeps, sweep_id))]
    schedule(sweeps.runs.store)
    while found := [r for r in sweeps.runs.store.all() if r.status == "running"]:
        end(found[0], val=found[0].settings.rho)
        schedule(sweeps.runs.store)
    sweep = sweep_at(sweeps, sweep_id)
    members = sweeps.members(sweep)
    assert sweep.status == "finished"
    assert [run.id for run in members][: len(before)] == before
    assert len(members) == 16
    assert len({(same_setting(run.settings), run.settings.seed) for run in members}) == 16


def sweep_at(sweeps: Sweeps, sweep_id: str) -> Sweep:
    return sweeps.store.get(sweep_id)


def test_killed_while_queueing_leaves_nothing(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[object] = []

    def breaks(config: object, sweep: str) -> dict[str, object]:
        rows.append(config)
        if len(rows) == 3:
            raise KeyboardInterrupt
        return queued_row(config, sweep)  # type: ignore[arg-type]

    queued_row = sweep_store.queued_row
    monkeypatch.setattr(sweep_store, "queued_row", breaks)
    with pytest.raises(KeyboardInterrupt):
        sweeps.start(SweepSpec(seeds=5))
    assert sweeps.all() == []
    assert sweeps.runs.store.all() == []
