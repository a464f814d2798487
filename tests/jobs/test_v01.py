"""A store that version 0.1 wrote opens with all its runs, curves, landscapes, sweeps and models."""

import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest

from samar.jobs.files import job_dir, resume_path
from samar.jobs.records import EPOCH_COLUMNS
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.landscapes.result import Landscape
from samar.networks.library import imported_models
from samar.networks.load import load_network, networks
from samar.sweeps.service import Sweeps
from samar.sweeps.spec import SweepSpec

V01 = Path(__file__).parents[1] / "stores" / "v01"
EXPECTED = json.loads((V01 / "expected.json").read_text(encoding="utf-8"))
NOT_READ = ("accuracy",)


@pytest.fixture
def old_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with tarfile.open(V01 / "home.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.setenv("SAMAR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SAMAR_STORE", raising=False)
    return tmp_path / "home"


def test_every_run_is_there_with_its_curves(old_home: Path) -> None:
    store = Store()
    runs = {run.id: run for run in store.all("train")}
    assert set(runs) == {run["id"] for run in EXPECTED["runs"]}
    for old in EXPECTED["runs"]:
        run = runs[old["id"]]
        settings = run.settings.model_dump()
        assert {name: settings[name] for name in old["config"]} == old["config"]
        assert (run.title, run.status, run.parent) == (old["title"], old["status"], old["sweep"])
        assert (list(run.tags), run.pinned) == (old["tags"], old["pinned"])
        steps, epochs = store.records.steps(run.key), store.records.epochs(run.key)
        assert (len(steps["step"]), len(epochs["epoch"])) == (old["steps"], old["epochs"])
        assert steps["loss"].sum() == pytest.approx(old["loss_sum"], rel=1e-12)
        assert run.done == old["steps"]
        if old["epochs"]:
            assert run.last_epoch is not None
            assert run.last_epoch.test_accuracy == old["test_accuracy"]
            assert set(run.summary["epoch"]) == set(EPOCH_COLUMNS)
        events = store.records.events(run.key)
        assert Counter(event.kind for event in events) == old["events"]
        artifacts = store.records.artifacts(run.key)
        assert [[a.kind, a.step] for a in artifacts] == old["artifacts"]


def test_landscapes_and_snapshots_are_found_by_their_paths(old_home: Path) -> None:
    store = Store()
    run = store.get("old samar")
    found = {}
    for artifact in store.records.artifacts(run.key):
        path = job_dir(run.id) / artifact.path
        if artifact.kind.startswith("film_"):
            found[str(path.relative_to(old_home))] = Landscape.load(path).centre_loss
    assert found == pytest.approx(EXPECTED["films"])
    kept = [a.step for a in store.records.artifacts(run.key, "snapshot")]
    there = [s for s in kept if (job_dir(run.id) / f"snapshots/weights-{s}.safetensors").is_file()]
    assert there
    network = load_network(store, f"{run.id}@{there[-1]}")
    assert network.facts["step"] == there[-1]


def test_what_was_changed_while_it_trained_is_told(old_home: Path) -> None:
    jobs = Jobs()
    assert [jobs.get(name).edits for name in ("old samar", "old sgd")] == [1, 0]
    (edit,) = jobs.edits(jobs.get("old samar"))
    assert (edit.values, edit.before, edit.by) == ({"rho": 0.1}, {"rho": 0.2}, "")


def test_sweeps_are_jobs_that_own_their_members(old_home: Path) -> None:
    sweeps = Sweeps()
    assert {sweep.id for sweep in sweeps.all()} == {old["id"] for old in EXPECTED["sweeps"]}
    for old in EXPECTED["sweeps"]:
        sweep = sweeps.get(old["name"])
        assert sweep.status == old["status"]
        assert sweep.spec == SweepSpec.parse(SweepSpec.upgrade(old["spec"]))
        assert sweep.spec.base["second_pass"] == "always"
        assert [run.id for run in sweeps.members(sweep)] == old["members"]
        if old["spec"]["sampler"] == "tpe":
            storage = sweeps.jobs.store.database.engine.url.render_as_string(hide_password=False)
            study = optuna.load_study(study_name=f"samar-{sweep.id}", storage=storage)
            assert len(study.trials) == len(old["members"])
    sweeps.jobs.delete("old grid")
    assert {run.parent for run in sweeps.jobs.store.all("train")} == {None, "002b187b"}


def test_imported_models_are_there(old_home: Path) -> None:
    for model, old in zip(imported_models(), EXPECTED["models"], strict=True):
        known = vars(model)
        assert {n: v for n, v in old.items() if n not in NOT_READ} == {
            n: known[n] for n in old if n not in NOT_READ
        }
    listed = {info.id for info in networks(Store())}
    assert {"m768afefb", Store().get("old sgd").id} <= listed


def test_a_stopped_run_of_the_old_version_goes_on(
    old_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its resume state is that of a network with rounded weights; it loads and trains."""
    from samar.jobs.engine.worker import run as work

    monkeypatch.setattr("samar.jobs.engine.local.spawn", lambda job: 1)
    jobs = Jobs()
    old = jobs.get("old stopped")
    assert resume_path(old.id).is_file()
    jobs.store.requeue(old)
    job = jobs.store.claim_next("long", 1)
    assert job is not None
    assert job.id == old.id
    jobs.store.orders.post(job.key, "stop")
    work(jobs.store, job)
    after = jobs.store.get(job.id)
    assert (after.status, after.message) == ("stopped", "")
    assert after.done > old.done


def test_the_first_version_of_all_is_brought_up_too(old_home: Path) -> None:
    """What version 0 of the store lacked is taken out, then added again by the migration."""
    import sqlite3

    with sqlite3.connect(old_home / "samar.db") as db:
        db.execute("DROP INDEX ix_runs_sweep")
        for table, column in (
            ("runs", "pinned"),
            ("runs", "tags"),
            ("runs", "sweep"),
            ("epochs", "val_loss"),
            ("epochs", "val_accuracy"),
        ):
            db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        db.execute("DROP TABLE sweeps")
        db.execute("UPDATE schema_version SET version = 0")
    db.close()
    run: Any = Store().get("old samar")
    assert (run.title, run.pinned, run.tags, run.parent) == ("old samar", False, (), None)
    assert run.last_epoch.epoch == 12
