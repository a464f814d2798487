"""A run goes out as a zip and comes back in another home, bit for bit."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from samar.exchange.archive import run_zip, write_run
from samar.exchange.importing import import_run
from samar.jobs.files import SNAPSHOT, film_path, snapshot_path, weights_path
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.landscape.result import Landscape
from samar.networks.checkpoint import load_weights


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Call it to move to another home."""
    return lambda: monkeypatch.setenv("SAMAR_HOME", str(tmp_path_factory.mktemp("elsewhere")))


def add_film(run: Job) -> None:
    axes = (np.linspace(-1, 1, 3), np.linspace(-1, 1, 3))
    loss = np.arange(9.0).reshape(3, 3) / 7
    for step in (4, 12):
        path = film_path(run.id, "film_plane", step)
        path.parent.mkdir(parents=True, exist_ok=True)
        Landscape(axes, loss, loss / 9, np.ones((3, 3), bool), {"dim": 2}).save(path)
        Store().records.add_artifact(run.key, "film_plane", step, path.name)


def test_a_run_comes_back_bit_for_bit(recorded: Callable[..., Job], elsewhere) -> None:
    run = recorded(optimizer="samar", weights=True, name="<b>one</b>", label_noise=0.4)
    here = Store()
    here.mark(run.id, tags=["lecture", "two"])
    here.records.note(run.key, 5, "change", rho=0.3)
    looked = {"values": [3.0, 2.0, 1.0], "residuals": [0.1, 0.1, 0.1], "trace": 7.0, "lr": 0.05}
    here.records.note(run.key, 8, "curvature", **looked)
    add_film(run)
    kept = snapshot_path(run.id, 8)
    kept.parent.mkdir()
    kept.write_bytes(weights_path(run.id).read_bytes())
    here.records.add_artifact(run.key, SNAPSHOT, 8, kept.name)
    run = here.get(run.id)
    content = run_zip(here, run)
    old = (here.records.steps(run.key), here.records.epochs(run.key), here.records.events(run.key))
    tensors = load_weights(weights_path(run.id))
    picture = film_path(run.id, "film_plane", 12).read_bytes()

    elsewhere()
    there = Store()
    assert import_run(io.BytesIO(content)) == run.id
    back = there.get(run.id)
    assert back.settings == run.settings
    assert back.tags == ("lecture", "two", "imported")
    same = ("status", "created", "started", "finished", "total_steps", "device", "step")
    assert [getattr(back, n) for n in same] == [getattr(run, n) for n in same]
    assert back.last_epoch is not None
    assert run.last_epoch is not None
    assert repr(back.last_epoch) == repr(run.last_epoch)  # NaN is not itself
    new = (there.records.steps(back.key), there.records.epochs(back.key))
    for before, after in zip(old[:2], new, strict=True):
        assert list(after) == list(before)
        for name, column in before.items():
            assert column.tobytes() == after[name].tobytes(), name
    assert there.records.events(back.key) == old[2]
    loaded = load_weights(weights_path(back.id))
    assert set(loaded) == set(tensors)
    assert all((loaded[name] == value).all() for name, value in tensors.items())
    assert film_path(back.id, "film_plane", 12).read_bytes() == picture
    assert snapshot_path(back.id, 8).read_bytes() == weights_path(back.id).read_bytes()
    found = [(a.kind, a.step, a.path) for a in there.records.artifacts(back.key)]
    assert found == [
        ("film_plane", 4, "film_plane-4.npz"),
        (SNAPSHOT, 8, "weights-8.safetensors"),
        ("film_plane", 12, "film_plane-12.npz"),
        ("weights", 12, "weights.safetensors"),
    ]
    assert not list((weights_path(back.id).parents[1]).glob(".import-*"))
    # It can go on from here: another zip of it holds the same.
    again = zipfile.ZipFile(io.BytesIO(run_zip(there, back)))
    first = zipfile.ZipFile(io.BytesIO(content))
    for name in ("steps.csv", "epochs.csv", "events.json", "weights.safetensors", "config.json"):
        assert again.read(name) == first.read(name)


def test_an_id_that_is_taken_is_replaced(recorded: Callable[..., Job]) -> None:
    run = recorded()
    content = run_zip(Store(), run)
    other = import_run(io.BytesIO(content))
    assert other != run.id
    assert {each.id for each in Jobs().all()} == {run.id, other}


def test_a_run_that_never_ended_comes_back_as_stopped(
    recorded: Callable[..., Job], elsewhere
) -> None:
    for status, expected in (("diverged", "diverged"), ("paused", "stopped")):
        run = recorded(status=status)
        content = run_zip(Store(), run)
        elsewhere()
        assert Store().get(import_run(io.BytesIO(content))).status == expected


def test_the_manifest_tells_versions_data_command_and_checksums(
    recorded: Callable[..., Job], tmp_path: Path
) -> None:
    run = recorded(optimizer="sam", rho=0.11, weights=True)
    path = tmp_path / "run.zip"
    returned = write_run(Store(), run, path)
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
    write_run(Store(), run, path)
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
