"""Jobs on the machines of a Ray cluster."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from typing import Any
from unittest.mock import MagicMock

import pytest

from samar.cli import main
from samar.jobs.engine import cluster, local
from samar.jobs.engine.cluster import Dispatcher, dispatcher
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.kinds.watch import WatchSettings
from samar.sweeps.spec import SweepSpec
from samar.training.settings import TrainSettings


@pytest.mark.stage2
def test_two_machines_of_which_one_is_lost(postgres: Any) -> None:
    """Eight jobs of three kinds end as they do on one machine, bit for bit."""
    command = [sys.executable, "-m", "tests.cluster"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode in (0, 1), ended.stderr[-2000:]
    found = json.loads(ended.stdout[ended.stdout.index("{\n") :])
    assert found["faults"] == []
    assert (found["machines"], found["alive at the end"]) == (2, 1)
    assert len(found["lost after"]) >= 3


def test_faces_start_nothing_where_a_cluster_does(
    samar_home: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAMAR_ENGINE", "ray")
    store = Store()
    job_id = store.create(TrainSettings())
    local.schedule(store)
    assert store.get(job_id).status == "queued"
    assert main(["cluster"]) == 0
    assert "No dispatcher gives jobs to the cluster" in capsys.readouterr().out
    Dispatcher(8, 2).tell()
    assert main(["cluster"]) == 0
    assert "0 of 8 places busy on 2 machines, 1 waiting." in capsys.readouterr().out
    long_ago = time.time() - 60
    os.utime(samar_home / "runs" / "dispatcher.json", (long_ago, long_ago))
    assert dispatcher() is None


def test_only_what_takes_a_place_is_counted(
    samar_home: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAMAR_ENGINE", "ray")
    jobs = Jobs()
    runs, rests = (jobs.submit(SweepSpec(grid={"rho": (0.1, 0.2)}, seeds=1)) for _ in range(2))
    jobs.pause(rests)
    member = jobs.all("train", parent=runs)[0]
    assert jobs.store.claim(member.id) is not None
    watched = jobs.store.create(WatchSettings())
    assert jobs.store.claim(watched) is not None
    told = "Cluster: 1 of 8 places busy on 2 machines, 1 waiting."
    assert Dispatcher(8, 2).words(jobs.store.all()) == told
    assert main(["cluster"]) == 0
    (where,) = re.findall(rf"{socket.gethostname()}\D*(\d+)", capsys.readouterr().out)
    assert where == "1"


@pytest.mark.parametrize(
    ("words", "variables", "told"),
    [
        (["jobs"], {"SAMAR_ENGINE": "slurm"}, "SAMAR_ENGINE is 'slurm', but it must be local or"),
        (["cluster", "--ray", "127.0.0.1:1"], {}, "set SAMAR_STORE to a PostgreSQL database"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    words: list[str],
    variables: dict[str, str],
    told: str,
    samar_home: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    Store().create(TrainSettings())
    assert main(words) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_without_ray_or_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(cluster.ConfigError, match="needs the package ray; install it: pip"),
        cluster.connected("auto"),
    ):
        pass


def test_the_dispatcher_waits_for_a_store_that_is_away(
    samar_home: Any, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMAR_STORE", postgres.fresh())
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0.0)
    store, ray, told = Store(), MagicMock(), list[str]()
    job_id = store.create(TrainSettings())
    ray.cluster_resources.return_value = {"CPU": 2}
    ray.wait.return_value = ([], [])
    rounds = iter((postgres.stop, lambda: None, postgres.start, lambda: None))

    def over() -> bool:
        step = next(rounds, None)
        if step is not None:
            step()
        return step is None

    try:
        cluster.dispatch(store, ray, told.append, over)
    finally:
        postgres.start()
    away, given = told
    assert "goes on when its server is there again" in away
    assert given == f"{store.get(job_id).label} waits for a place."


def test_the_queue_of_a_cluster(samar_home: Any) -> None:
    """Those of a person first; what was claimed from a dead worker keeps its pause."""
    store = Store()
    owned = store.create(TrainSettings(), parent="a sweep")
    own = store.create(TrainSettings())
    assert [store.next_queued(without).id for without in ((), (own,))] == [own, owned]  # type: ignore[union-attr]
    assert store.next_queued((own, owned)) is None
    first = store.claim(own)
    assert first is not None
    assert store.claim(own) is None
    store.move(first, "paused")
    again = store.claim(own, cluster.OF_DEAD)
    assert again is not None
    assert (again.status, again.claim) == ("running", first.claim + 1)
    assert [order.command for order in store.orders.after(0, again.key)] == ["pause"]
    store.move(again, "stopped")
    assert store.claim(own, cluster.OF_DEAD) is None
