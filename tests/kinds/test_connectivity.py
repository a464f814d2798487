"""Paths between two networks as a job, in this very process: prepared, measured, taken up again."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from samar.cli import main
from samar.connectivity.result import Connection
from samar.connectivity.symmetry import neuron_groups, permuted
from samar.errors import ConfigError, RunError
from samar.jobs.engine import worker
from samar.jobs.job import Job, job_dir, resume_path
from samar.jobs.store import Store
from samar.jobs.work import Work
from samar.kinds import connectivity as kind
from samar.kinds.connectivity import ConnectivityJobSettings, connection_of, planes_of
from samar.models.build import build_model
from samar.networks.checkpoint import load_weights, save_weights

FEW = {"points": 5, "images": 24, "steps": 4, "batch_size": 16, "plane": 5}


@pytest.fixture
def store(recorded: Callable[..., Any]) -> Store:
    """With two runs of random weights, and one that is the first with its neurons permuted."""
    for seed, name in enumerate(("first", "second")):
        recorded(name=name, seed=seed, weights=True)
    twin = recorded(name="twin", weights=True)
    network = build_model("cnn", classes=10, channels=1)
    path = job_dir(Store().get("first").id) / "weights.safetensors"
    network.load_state_dict(load_weights(path))
    groups = neuron_groups(network, torch.zeros(1, 1, 8, 8))
    random = np.random.default_rng(0)
    state = permuted(network.state_dict(), groups, [random.permutation(g.size) for g in groups])
    network.load_state_dict(state)
    save_weights(network, job_dir(twin.id) / "weights.safetensors", {"model": "cnn"})
    return Store()


def asked(**values: Any) -> ConnectivityJobSettings:
    return ConnectivityJobSettings(**{"network": "first", "other": "second", **FEW, **values})


def submitted(store: Store, **values: Any) -> Job:
    settings = asked(**values)
    return store.get(store.create(settings, inputs=kind.prepare(store, settings)))


def run(store: Store, job: Job) -> Job:
    claimed = store.claim_next("short", 1)
    assert claimed is not None
    worker.run(store, claimed)
    return store.get(job.id)


def found_by(store: Store, job: Job) -> Connection:
    found = connection_of(store, job)
    assert found is not None
    return found


def test_all_paths_are_kept_with_bends_and_planes(store: Store) -> None:
    job = run(store, submitted(store))
    assert (job.status, job.message) == ("finished", "")
    found = found_by(store, job)
    four = [("line", False), ("line", True), ("bezier", False), ("bezier", True)]
    assert [(path.curve, path.aligned) for path in found.paths] == four
    assert found.splits == ("train", "test")
    ends = [path.along["test"].loss[[0, -1]] for path in found.paths]
    np.testing.assert_allclose(ends, [ends[0]] * 4, rtol=1e-5)
    assert [len(path.training) for path in found.paths] == [0, 0, 4, 4]
    assert job.summary["line_barrier"] == found.paths[0].barrier("train").value
    planes = planes_of(store, job)
    assert list(planes) == [False, True]
    for aligned, plane in planes.items():
        curve = found.paths[2 + aligned]
        assert plane.trail is not None
        np.testing.assert_array_equal(plane.trail.loss, curve.along["train"].loss)
        np.testing.assert_allclose(plane.trail.coordinates[[0, -1]], [[0, 0], [1, 0]], atol=1e-6)
        assert plane.manifest["cosine"] == pytest.approx(0, abs=1e-6)
        assert plane.manifest["norms"][0] == pytest.approx(plane.manifest["norms"][1], rel=1e-5)
    assert found.manifest["aligned_distance"] < found.manifest["distance"]
    bend = load_weights(job_dir(job.id) / "bend.safetensors")
    assert bend["features.1.running_mean"].abs().sum() > 0, "it has statistics of its own"


def test_a_network_with_its_own_neurons_permuted_has_no_barrier_once_aligned(store: Store) -> None:
    job = run(store, submitted(store, other="twin", curve="line", split="test"))
    plain, aligned = found_by(store, job).paths
    assert plain.barrier("test").value > 0
    assert aligned.barrier("test").rise == pytest.approx(0, abs=1e-6)
    assert np.ptp(aligned.along["test"].loss) == pytest.approx(0, abs=1e-6)
    assert found_by(store, job).manifest["aligned_distance"] == 0


def test_cancelled_it_goes_on_bit_for_bit_also_within_a_bend(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = found_by(store, run(store, submitted(store)))
    real, told = Work.progress, list[tuple[str, int]]()

    def progress(work: Work, done: int, total: int | None = None, doing: str = "") -> None:
        told.append((doing, done))
        work.stopping = work.stopping or (doing, done) == ("Training the bend, aligned", 1)
        real(work, done, total, doing)

    monkeypatch.setattr(Work, "progress", progress)
    job = run(store, submitted(store, name="stopped"))
    assert job.status == "stopped"
    assert len(found_by(store, job).paths) == 3
    assert resume_path(job.id).is_file()
    store.requeue(job)
    told.clear()
    job = run(store, job)
    assert (job.status, job.message) == ("finished", "")
    assert not resume_path(job.id).exists()
    trained = [(doing, done) for doing, done in told if doing.startswith("Training")]
    assert trained == [("Training the bend, aligned", done) for done in (2, 3)]
    assert [doing for doing, _ in told].count("Measuring the path") == FEW["points"]
    for one, other in zip(whole.paths, found_by(store, job).paths, strict=True):
        np.testing.assert_array_equal(other.along["test"].loss, one.along["test"].loss)
        np.testing.assert_array_equal(other.training, one.training)


def test_a_first_result_is_the_lines_alone_from_few_images() -> None:
    whole = asked(images=512, points=33, name="x")
    assert whole.first == ConnectivityJobSettings(
        network="first", other="second", curve="line", images=32, points=9
    )
    assert asked(images=127).first is None


def test_what_cannot_be_joined_is_said_before_anything_starts(
    store: Store, recorded: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.networks.load.require_data", lambda dataset: None)
    monkeypatch.setattr("samar.networks.load.stamp", str)
    recorded(name="wide", weights=True, seed=5, model="resnet20")
    recorded(name="cifar", weights=True, seed=6, dataset="cifar10")
    recorded(name="empty")
    for values, error, sentence in (
        ({"other": ""}, ConfigError, "No second network was chosen"),
        ({"other": "first"}, ConfigError, "have the same weights; choose two networks"),
        ({"other": "wide"}, ConfigError, "is a cnn and wide.* a resnet20; choose two"),
        ({"other": "cifar"}, ConfigError, "on digits and cifar.* on cifar10; choose two"),
        ({"other": "empty"}, RunError, "has saved no weights yet"),
    ):
        with pytest.raises(error, match=sentence):
            kind.prepare(store, asked(**values))


def test_on_the_command_line(
    store: Store, inline: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(steps=9, name="x").command.startswith("python -m samar path first second --")
    words = ["path", "first", "second", "--curve", "chain", "--align", "none", "--steps", "2"]
    words += ["--points", "5", "--images", "16", "--plane", "5"]
    assert main([*words, "--out", str(tmp_path / "a.csv")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"Chain with one bend +test images +\d\.\d{4} ± \d\.\d{4} at t = ", out)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert len(rows) == 2 * 2 * 5
    assert main([*words, "--json", "--out", str(tmp_path / "a.npz")]) == 0
    numbers = json.loads(capsys.readouterr().out)
    saved = Connection.load(tmp_path / "a.npz")
    assert numbers["paths"][1]["test_barrier"] == saved.paths[1].barrier("test").value
    assert main([*words, "--out", str(tmp_path / "a.html")]) == 0
    assert "Chain with one bend" in (tmp_path / "a.html").read_text()
    assert main([*words, "--out", str(tmp_path / "a.vtp")]) == 2
    assert "must end in .npz, .csv or .html" in capsys.readouterr().err


def test_stopped_in_its_plane_it_goes_on_there_and_keeps_what_it_knows(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"plane": 9, "align": "weights"}
    whole = run(store, submitted(store, **values))
    real, told, again = Work.progress, list[tuple[str, int]](), False

    def progress(work: Work, done: int, total: int | None = None, doing: str = "") -> None:
        told.append((doing, done))
        at = ("Measuring the plane, aligned", 40)
        work.stopping = work.stopping or (told[-1] == at and not again)
        real(work, done, total, doing)

    monkeypatch.setattr(Work, "progress", progress)
    job = run(store, submitted(store, **values, name="stopped"))
    assert job.status == "stopped"
    assert [each.step for each in store.records.artifacts(job.key, "plane_aligned")] == [5]
    store.requeue(job)
    told.clear()
    again = True
    job = run(store, job)
    assert job.status == "finished"
    points = [done for doing, done in told if doing == "Measuring the plane, aligned"]
    assert points == list(range(26, 82)), "the first level is not measured again"
    once, twice = (planes_of(store, each)[True] for each in (whole, job))
    np.testing.assert_array_equal(twice.loss, once.loss)
    facts = found_by(store, job).manifest
    for name in ("aligned_distance", "moved", "neurons"):
        assert facts[name] == found_by(store, whole).manifest[name]
