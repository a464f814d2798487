"""A job goes out as a zip and comes back in another home, bit for bit."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from samar.errors import RunError
from samar.exchange.archive import job_zip, write_job
from samar.exchange.importing import import_job
from samar.jobs.engine.worker import run as work_at
from samar.jobs.job import Job, job_dir, weights_path
from samar.jobs.kind import kind_of
from samar.jobs.service import Jobs
from samar.jobs.sql import schema
from samar.jobs.store import Store
from samar.kinds.connectivity import ConnectivityJobSettings
from samar.kinds.curvature import CurvatureJobSettings
from samar.kinds.evaluate import EvaluateSettings
from samar.kinds.landscape import LandscapeJobSettings
from samar.networks.checkpoint import load_weights
from samar.networks.load import SNAPSHOT
from samar.sweeps.spec import SweepSpec
from samar.training.settings import TrainSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Call it to move to another home."""
    return lambda: monkeypatch.setenv("SAMAR_HOME", str(tmp_path_factory.mktemp("elsewhere")))


def test_a_run_comes_back_bit_for_bit(recorded: Callable[..., Job], elsewhere) -> None:
    run = recorded(optimizer="samar", weights=True, name="<b>one</b>", label_noise=0.4)
    here = Store()
    here.mark(run.id, tags=["lecture", "two"])
    here.records.note(run.key, 5, "change", rho=0.3)
    more = {"peak": 0.95, "about": {"classes": 10, "steps_per_epoch": 4}, "note": "On the CPU."}
    more |= {"missed": "1 file", "away": "for 9 s", "compile_seconds": 2.5, "begun": 4}
    more |= {"observed": {"planes": 1, "eigenvalue_estimates": 1, "oldest_plane_seconds": 2.5}}
    with here.database.write() as db:
        db.execute(schema.jobs.update().values(summary=json.dumps({**run.summary, **more})))
    looked = {"values": [3.0, 2.0, 1.0], "residuals": [0.1, 0.1, 0.1], "trace": 7.0, "lr": 0.05}
    here.records.note(run.key, 8, "curvature", **looked)
    here.records.note(run.key, 12, "plane", axis=[-1.0, 1.0], loss=[[1.5, None], [2.0, 0.1]])
    snapshot = "snapshots/weights-8.safetensors"
    (job_dir(run.id) / "snapshots").mkdir()
    (job_dir(run.id) / snapshot).write_bytes(weights_path(run.id).read_bytes())
    here.records.add_artifact(run.key, SNAPSHOT, 8, snapshot)
    run = here.get(run.id)
    content = job_zip(here, run)
    old = (here.records.steps(run.key), here.records.epochs(run.key), here.records.events(run.key))
    kept = here.records.artifacts(run.key)
    tensors = load_weights(weights_path(run.id))

    elsewhere()
    there = Store()
    assert import_job(io.BytesIO(content)) == run.id
    back = there.get(run.id)
    assert back.settings == run.settings
    assert back.tags == ("lecture", "two", "imported")
    same = ("status", "created", "started", "finished", "total", "device", "done")
    assert [getattr(back, n) for n in same] == [getattr(run, n) for n in same]
    assert back.summary == {**run.summary, "edits": 1}  # counted anew
    assert back.last_epoch is not None
    assert run.last_epoch is not None
    assert repr(back.last_epoch) == repr(run.last_epoch)  # NaN is not itself
    new = (there.records.steps(back.key), there.records.epochs(back.key))
    for before, after in zip(old[:2], new, strict=True):
        assert list(after) == list(before)
        for name, column in before.items():
            assert column.tobytes() == after[name].tobytes(), name
    assert [vars(e) | {"key": 0} for e in there.records.events(back.key)] == [
        vars(e) | {"key": 0} for e in old[2]
    ]
    loaded = load_weights(weights_path(back.id))
    assert set(loaded) == set(tensors)
    assert all((loaded[name] == value).all() for name, value in tensors.items())
    assert (job_dir(back.id) / snapshot).read_bytes() == weights_path(back.id).read_bytes()
    assert there.records.artifacts(back.key) == kept
    assert {(a.kind, a.step) for a in kept} == {(SNAPSHOT, 8), ("weights", 12)}
    assert {path.name for path in job_dir(back.id).iterdir()} == {
        *("snapshots", "weights.safetensors"),
    }
    assert not list((weights_path(back.id).parents[1]).glob(".import-*"))
    # It can go on from here: another zip of it holds the same.
    again = zipfile.ZipFile(io.BytesIO(job_zip(there, back)))
    first = zipfile.ZipFile(io.BytesIO(content))
    for name in ("steps.csv", "epochs.csv", "events.json", "weights.safetensors", "config.json"):
        assert again.read(name) == first.read(name)


def test_an_id_that_is_taken_is_replaced(recorded: Callable[..., Job]) -> None:
    run = recorded()
    content = job_zip(Store(), run)
    other = import_job(io.BytesIO(content))
    assert other != run.id
    assert {each.id for each in Jobs().all()} == {run.id, other}


def test_a_run_that_left_its_state_behind_does_not_resume(
    recorded: Callable[..., Job], elsewhere, inline: None
) -> None:
    """It would begin at step 0, and forget all that was recorded."""
    content = job_zip(Store(), recorded(status="interrupted"))
    elsewhere()
    jobs = Jobs()
    run = jobs.get(import_job(io.BytesIO(content)))
    assert jobs.cannot_resume(run) == (
        f"{run.label} was imported without the state from which it would go on; Repeat starts it "
        "anew."
    )
    with pytest.raises(RunError, match="Repeat starts it anew"):
        jobs.resume(run.id)
    assert len(jobs.store.records.steps(run.key)["step"]) == run.done == 12


def test_the_manifest_tells_versions_data_command_and_checksums(
    recorded: Callable[..., Job], tmp_path: Path
) -> None:
    run = recorded(optimizer="sam", rho=0.11, weights=True)
    path = tmp_path / "run.zip"
    returned = write_job(Store(), run, path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest == returned
        names = set(archive.namelist()) - {"manifest.json"}
        assert set(manifest["files"]) == names
        for name in names:
            content = archive.read(name)
            assert manifest["files"][name] == {
                "sha256": hashlib.sha256(content).hexdigest(),
                "bytes": len(content),
            }
    assert manifest["data_sha256"] == "0" * 64
    assert manifest["command"] == "python -m samar train --optimizer sam --rho 0.11"
    assert manifest["run"]["device"] == "cpu"
    assert {"samar", "python", "torch", "numpy"} <= set(manifest["written_with"])


def test_the_tables_open_in_pandas(recorded: Callable[..., Job], tmp_path: Path) -> None:
    run = recorded(optimizer="samar")
    path = tmp_path / "run.zip"
    write_job(Store(), run, path)
    with zipfile.ZipFile(path) as archive:
        for name, columns in (
            ("steps", Store().records.steps(run.key)),
            ("epochs", Store().records.epochs(run.key)),
        ):
            flat = pd.read_csv(io.BytesIO(archive.read(f"{name}.csv")))
            tight = pd.read_parquet(io.BytesIO(archive.read(f"{name}.parquet")))
            assert list(flat) == list(tight) == list(columns)
            assert str(tight["step"].dtype) == "int64"
            for column, values in columns.items():
                assert np.array_equal(tight[column].to_numpy(float), values, equal_nan=True)
                assert np.allclose(flat[column].to_numpy(float), values, equal_nan=True)


def test_every_kind_comes_back(recorded: Callable[..., Job], elsewhere) -> None:
    """Measurements of every kind, each done here, and a sweep with its members."""
    run_id, other = recorded(weights=True).id, recorded(weights=True, seed=1).id
    here = Store()
    made = []
    for settings in (
        LandscapeJobSettings(network=run_id, points=5, images=16, name="*hill*"),
        CurvatureJobSettings(network=run_id, top=2, tol=0.1, images=16),
        EvaluateSettings(network=run_id),
        ConnectivityJobSettings(network=run_id, other=other, points=5, images=16, steps=2, plane=5),
    ):
        prepare = kind_of(settings.kind).prepare
        assert prepare is not None
        made.append(here.create(settings, inputs=prepare(here, settings)))
        claimed = here.claim_next("short", 9)
        assert claimed is not None
        work_at(here, claimed)
    sweep = here.create(SweepSpec(grid={"rho": (0.1, 0.2)}, seeds=1))
    for rho in (0.1, 0.2):
        here.create(TrainSettings(rho=rho, optimizer="sam"), parent=sweep)
    here.move(here.get(sweep), "finished")
    jobs = [here.get(each) for each in (*made, sweep)]
    assert [job.status for job in jobs] == ["finished"] * 5
    zips = [job_zip(here, job) for job in jobs]
    files = {
        job.id: {a.path: (job_dir(job.id) / a.path).read_bytes() for a in kept}
        for job in jobs
        if (kept := here.records.artifacts(job.key))
    }
    artifacts = [here.records.artifacts(job.key) for job in jobs]
    members = [(m.id, m.settings) for m in here.all(parent=sweep)]
    elsewhere()
    there = Store()
    for job, content, kept in zip(jobs, zips, artifacts, strict=True):
        back = there.get(import_job(io.BytesIO(content)))
        same = ("id", "kind", "status", "settings", "summary", "done", "total")
        assert [getattr(back, n) for n in same] == [getattr(job, n) for n in same]
        # Numbers are those of a store: what is #1 here may be another run there.
        numbers = json.dumps(dict(job.inputs), ensure_ascii=False)
        archive = {"archive": hashlib.sha256(content).hexdigest()}
        assert json.loads(re.sub(r"#\d+ ", "", numbers)) | archive == back.inputs
        assert ("#1 " in numbers) == (job.kind != "sweep")
        assert there.records.artifacts(back.key) == kept
        for path, old in files.get(job.id, {}).items():
            assert (job_dir(back.id) / path).read_bytes() == old
        # It is no answer to a question asked here: nobody here has seen it computed.
        assert there.same(back.settings, back.inputs) is None
    assert set(files) == {made[0], made[1], made[3]}
    assert [(m.id, m.settings) for m in there.all(parent=sweep)] == members
    assert {m.status for m in there.all(parent=sweep)} == {"stopped"}


def test_nothing_of_this_loads_torch(recorded: Callable[..., Job], samar_home: Path) -> None:
    """The server exports, imports and writes reports; it must stay small."""
    run_id = recorded(optimizer="samar", weights=True).id
    code = """
import io, sys
from pathlib import Path
from samar.charts.html.report import report_html
from samar.exchange.archive import job_zip
from samar.exchange.importing import import_job
from samar.exchange.tensorboard import write_tensorboard
from samar.jobs.store import Store
from samar.jobs.engine.worker import run as work_at
from samar.kinds.connectivity import ConnectivityJobSettings
from samar.kinds.curvature import CurvatureJobSettings
from samar.kinds.evaluate import EvaluateSettings
from samar.kinds.landscape import LandscapeJobSettings
store = Store()
run = store.get(sys.argv[1])
import_job(io.BytesIO(job_zip(store, run)), store)
write_tensorboard(store, run, Path(sys.argv[2]))
assert report_html(store, [run]).startswith("<!doctype html>")
heavy = {"torch", "torchvision", "sklearn", "scipy", "optuna", "tensorflow"} & set(sys.modules)
assert not heavy, heavy
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", code, run_id, str(samar_home / "tb")]
    subprocess.run(command, env=environment, check=True)
