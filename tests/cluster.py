"""Two machines of a cluster, one of which is lost while eight jobs of three kinds run.

A PostgreSQL server and a Ray cluster of two machines with two places each are started on this
machine. Runs are paused until three are at work; they are resumed, and one machine is taken away.
All eight jobs must end, every record must be there once, and results must equal those of this
machine alone, bit for bit. Then a race is edited, paused and resumed, and a run is cancelled, on
the machine that is left; the race with its edits must be the same on this machine alone::

    python -m tests.cluster
"""

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from samar.errors import RunError

TINY = {"images_per_class": 20, "batch_size": 16, "device": "cpu", "checkpoint_seconds": 0.5}
HEAD = {"num_cpus": 2, "num_gpus": 0, "include_dashboard": False}
SECONDS = 300
ENDED = ("finished", "failed", "stopped", "diverged", "interrupted")


def main() -> dict[str, Any]:
    """Do it; the figures, with what is wrong under ``faults``."""
    from samar.jobs.store import Store
    from tests.postgres import postgres

    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        with _places(OMP_NUM_THREADS="1", SAMAR_SPARE="0", SAMAR_HOME=str(folder / "alone")):
            alone = Store()
            with patch("samar.jobs.service.schedule", lambda store: None):
                _submit(alone, lambda ids: _one_after_the_other(alone, ids))
        server = stack.enter_context(postgres())
        home = {"SAMAR_HOME": str(folder / "laboratory"), "SAMAR_ENGINE": "ray"}
        stack.enter_context(_places(OMP_NUM_THREADS="1", SAMAR_STORE=server.fresh(), **home))
        store = Store()
        figures |= _together(store)
        with _places(SAMAR_HOME=str(folder / "alone"), SAMAR_STORE="", SAMAR_ENGINE="local"):
            _repeat_steered(store, alone)
        figures["faults"] = _faults(store, alone, folder)
        store.database.engine.dispose()
    return figures


def _submit(store: Any, end: Any) -> None:
    """Eight jobs: a run, whose landscapes and curvature are measured while others train."""
    from samar.jobs.service import Jobs
    from samar.kinds.curvature import CurvatureJobSettings
    from samar.kinds.landscape import LandscapeJobSettings
    from samar.training.settings import TrainSettings

    jobs = Jobs(store)
    first = jobs.submit(TrainSettings.parse({**TINY, "name": "first", "epochs": 3}))
    end([first])
    ids = [
        jobs.submit(TrainSettings.parse({**TINY, "name": f"run {n}", "epochs": 10, "seed": n}))
        for n in range(4)
    ]
    run = first
    for points in (9, 17):
        asked = LandscapeJobSettings(network=run, points=points, images=64, name=f"{points}")
        ids.append(jobs.submit(asked))
    ids.append(jobs.submit(CurvatureJobSettings(network=run, images=64, name="curvature")))
    end(ids)


def _submit_steered(store: Any, **words: Any) -> list[str]:
    """A race and a run, of which nobody knows yet what will become."""
    from samar.jobs.service import Jobs
    from samar.kinds.race import RaceSettings
    from samar.training.settings import TrainSettings

    race = {**TINY, "name": "race", "epochs": 8, "optimizers": "sgd,samar"}
    cancelled = TrainSettings.parse({**TINY, "name": "cancelled", "epochs": 4000})
    jobs = Jobs(store)
    return [jobs.submit(RaceSettings.parse(race), **words), jobs.submit(cancelled)]


def _repeat_steered(store: Any, alone: Any) -> None:
    """The same on one machine, with the edits that the cluster's race had."""
    from samar.jobs.edits import edits_file, read_edits
    from samar.jobs.service import Jobs

    (race,) = store.all("race")
    edits = read_edits(edits_file(Jobs(store).edits(race)), "the race")
    with patch("samar.jobs.service.schedule", lambda store: None):
        race_id, cancelled = _submit_steered(alone, edits=edits)
    _one_after_the_other(alone, [race_id])
    alone.move(alone.get(cancelled), "stopped", only=("queued",))


def _one_after_the_other(store: Any, ids: list[str]) -> None:
    from samar.jobs.engine import worker

    for job_id in ids:
        worker.run(store, store.claim(job_id))


def _together(store: Any) -> dict[str, Any]:
    """Let the cluster do them, and take a machine away; what was seen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        from samar.jobs.engine import cluster
        from samar.jobs.service import Jobs

        machines = Cluster(initialize_head=True, head_node_args=HEAD)
        second = machines.add_node(num_cpus=2, num_gpus=0)
        jobs, seen = Jobs(store), dict[str, Any](told=[])
        try:
            with cluster.connected(machines.address) as ray:
                seen["machines"] = len(cluster.machines(ray))

                def end(ids: list[str]) -> None:
                    began = time.monotonic()

                    def over() -> bool:
                        found = [store.get(each) for each in ids]
                        held = [j for j in found if j.status == "paused"]
                        if len(held) >= 3 or "lost after" in seen:
                            for job in held:  # not by the service: one may be on the lost machine
                                store.orders.post(job.key, "resume")
                        if len(held) >= 3 and "lost after" not in seen:
                            seen["lost after"] = [job.done for job in held]
                            machines.remove_node(second)
                        elif (
                            "lost after" not in seen and len(ids) > 3
                        ):  # each waits until several are at work
                            busy = [j for j in found if j.status == "running" and j.done > 20]
                            for job in busy:
                                with suppress(RunError):  # it has ended, or is no run
                                    jobs.pause(job.id)
                        assert time.monotonic() - began < SECONDS, [j.status for j in found]
                        return all(job.status in ENDED for job in found)

                    cluster.dispatch(store, ray, seen["told"].append, over)
                    seen["seconds"] = round(time.monotonic() - began, 1)

                _submit(store, end)
                race, cancelled = _submit_steered(store)

                def steered() -> bool:
                    found = [store.get(each) for each in (race, cancelled)]
                    if found[0].done > 20 and "race paused at" not in seen:
                        jobs.change(race, rho=0.3)
                        jobs.pause(race)
                        seen["race paused at"] = _paused(store, race)
                        jobs.resume(race)
                    if found[1].status == "running" and found[1].done > 20:
                        jobs.stop(cancelled)
                    return all(job.status in ENDED for job in found)

                cluster.dispatch(store, ray, seen["told"].append, steered)
                seen["alive at the end"] = sum(m.alive for m in cluster.machines(ray))
        finally:
            machines.shutdown()
    return seen


def _paused(store: Any, job_id: str) -> int:
    """The step at which a job rests."""
    end = time.monotonic() + 30
    while (job := store.get(job_id)).status != "paused":
        assert time.monotonic() < end, job.status
        time.sleep(0.1)
    return int(job.done)


def _faults(store: Any, alone: Any, folder: Path) -> list[str]:
    """What is not as it would be on one machine."""
    import torch

    from samar.landscapes.result import Landscape
    from samar.networks.checkpoint import load_weights

    faults = []
    with _places(SAMAR_HOME=str(folder / "alone"), SAMAR_STORE=""):
        others = {job.settings.name: job for job in alone.all()}
    claims = 0
    for job in store.all():
        other, what = others[job.settings.name], f"{job.kind} {job.settings.name!r}"
        claims += job.claim - 1
        if job.settings.name == "cancelled":
            faults += [] if job.status == "stopped" and job.done else [f"{what} is {job.status}"]
            continue
        if job.status != "finished":
            faults.append(f"{what} is {job.status}: {job.message}")
            continue
        places = [folder / "laboratory" / "runs" / job.id, folder / "alone" / "runs" / other.id]
        if job.kind == "train":
            ours, theirs = store.records.steps(job.key), alone.records.steps(other.key)
            if ours["step"].tolist() != list(range(1, job.done + 1)):
                faults.append(f"{what} has its records not once")
            faults += [
                f"{what} differs in {name}"
                for name in set(theirs) - {"seconds"}
                if not np.array_equal(ours[name], theirs[name], equal_nan=True)
            ]
            one, two = (load_weights(place / "weights.safetensors") for place in places)
            if not all(torch.equal(one[name], two[name]) for name in two):
                faults.append(f"{what} differs in its weights")
        elif job.kind == "race":
            edits = store.records.events(job.key)
            if not any(event.kind == "change" for event in edits):
                faults.append(f"{what} was not edited")
        elif job.kind == "landscape":
            levels = [
                Landscape.load(place / s.records.artifacts(j.key, "landscape")[-1].path)
                for place, s, j in zip(places, (store, alone), (job, other), strict=True)
            ]
            if not np.array_equal(levels[0].loss, levels[1].loss):
                faults.append(f"{what} differs")
        else:
            reports = [json.loads((place / "report.json").read_text()) for place in places]
            if reports[0]["eigenvalues"] != reports[1]["eigenvalues"]:
                faults.append(f"{what} differs")
    if len(others) != 12 or len(store.all()) != 12:  # the race has two members
        faults.append(f"{len(store.all())} and {len(others)} jobs, not 12")
    if not claims:
        faults.append("no job was done again: the lost machine had none")
    return faults


@contextmanager
def _places(**variables: str) -> Iterator[None]:
    with patch.dict(os.environ, variables):
        for name in [name for name, value in variables.items() if not value]:
            del os.environ[name]
        yield


if __name__ == "__main__":
    found = main()
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["faults"]))
