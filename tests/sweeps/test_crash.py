"""A sweep killed half-way and resumed: every member exactly once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from samar.jobs.engine.local import schedule
from samar.jobs.service import Jobs
from samar.jobs.store import new_row
from samar.sweeps.service import Sweeps
from samar.sweeps.spec import SweepSpec
from samar.sweeps.values import Range, same_setting

ROOT = Path(__file__).parents[2]
SEARCH = """
from dataclasses import asdict
import samar.jobs.engine.local as local
from samar.jobs.store import Store
from samar.settings.command import json_line
from samar.jobs.training_records import EpochRecord

local.spawn = lambda job: 1
Store.mark_interrupted = lambda self: None
store = Store()
while True:
    local.schedule(store)
    for run in store.all("train", status=("running",)):
        record = EpochRecord(1, 1, 1, 1.0, 0.1, 0.9, 9, 0.2, 0.8, 0.1, 0.3, run.settings.rho)
        store.beat(run, summary=json_line({"epoch": asdict(record)}))
        store.move(run, "finished")
"""


def wait(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_killed_in_training_and_resumed(jobs: Jobs) -> None:
    spec = SweepSpec(
        grid={"optimizer": ("sgd", "samar", "sam")},
        seeds=1,
        base={"images_per_class": 10, "epochs": 16, "checkpoint_seconds": 0.0, "device": "cpu"},
    )
    sweep_id = jobs.submit(spec)

    def second_trains() -> bool:
        # Read without scheduling, as if this process did not exist.
        members = jobs.store.all("train", parent=sweep_id)[::-1]
        return members[0].status == "finished" and members[1].done > 2

    wait(second_trains)
    killed = jobs.store.all("train", parent=sweep_id)[-2]
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    again = Sweeps(Jobs())
    wait(lambda: again.jobs.get(killed.id).status == "interrupted")
    again.jobs.resume(sweep_id)
    wait(lambda: again.get(sweep_id).status == "finished")
    members = again.members(again.get(sweep_id))
    assert {run.status for run in members} == {"finished"}
    trained = [(run.settings.optimizer, run.settings.seed) for run in members]
    assert trained == [("sgd", 0), ("samar", 0), ("sam", 0)]
    for run in members:
        steps = again.jobs.store.records.steps(run.key)["step"]
        assert steps.tolist() == list(range(1, 17))
        starts = [e for e in again.jobs.store.records.events(run.key) if e.kind == "started"]
        assert len(starts) == (2 if run.id == killed.id else 1)


def test_killed_in_a_search_and_resumed(
    sweeps: Sweeps, end: Callable[..., None], samar_home: Path
) -> None:
    spec = SweepSpec(
        sampler="tpe", trials=8, seeds=2, ranges={"rho": Range(low=0.01, high=0.9, log=True)}
    )
    sweep_id = sweeps.jobs.submit(spec)
    code = [sys.executable, "-W", "ignore", "-c", SEARCH]
    searcher = subprocess.Popen(code, cwd=ROOT)
    try:
        wait(lambda: len(sweeps.jobs.store.all(parent=sweep_id)) >= 6)
    finally:
        searcher.kill()
        searcher.wait()
    before = [run.id for run in sweeps.members(sweeps.get(sweep_id))]
    schedule(sweeps.jobs.store)
    while found := sweeps.jobs.store.all("train", status=("running",)):
        end(found[0], val=found[0].settings.rho)
        schedule(sweeps.jobs.store)
    sweep = sweeps.get(sweep_id)
    members = sweeps.members(sweep)
    assert sweep.status == "finished"
    assert [run.id for run in members][: len(before)] == before
    assert len(members) == 16
    assert len({(same_setting(run.settings), run.settings.seed) for run in members}) == 16


def test_killed_while_queueing_every_member_is_queued_once(
    sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[object] = []

    def breaks(settings: object, parent: str, inputs: object) -> dict[str, object]:
        rows.append(settings)
        if len(rows) == 3:
            raise KeyboardInterrupt
        return new_row(settings, parent, inputs)  # type: ignore[arg-type]

    monkeypatch.setattr("samar.sweeps.service.new_row", breaks)
    with pytest.raises(KeyboardInterrupt):
        sweeps.jobs.submit(SweepSpec(seeds=5))
    assert sweeps.jobs.store.all("train") == []
    schedule(sweeps.jobs.store)
    (sweep,) = sweeps.all()
    assert [run.settings.seed for run in sweeps.members(sweep)] == [0, 1, 2, 3, 4]
    assert len(rows) == 3 + 5
