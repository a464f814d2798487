"""Runs, imported models and files are found by id, name or path."""

import itertools
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from samar.errors import CheckpointError, ConfigError, RunError
from samar.jobs.engine import worker
from samar.jobs.job import Job, resume_path, weights_path
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.kinds.evaluate import EvaluateSettings
from samar.models.build import build_model
from samar.networks.checkpoint import save_weights
from samar.networks.importing import import_file
from samar.networks.library import ImportedModel
from samar.networks.load import load_network, networks, pinned
from samar.networks.settings import NetworkSettings
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save(build_model("cnn", channels=1).state_dict(), tmp_path / "net.pt")
    return tmp_path / "net.pt"


@pytest.fixture
def model(file: Path, store: Store) -> ImportedModel:
    return import_file(file, normalize="half")[0]


def finished(store: Store, name: str = "") -> Job:
    """A run that has ended and saved its weights."""
    run_id = store.create(TrainSettings(model="cnn", name=name))
    run = store.claim_next("long", 9)
    assert run is not None
    assert run.id == run_id
    store.move(run, "finished")
    save_weights(build_model("cnn", channels=1), weights_path(run_id), {})
    return store.get(run_id)


def test_the_list_has_what_can_be_loaded_newest_first(store: Store, file: Path) -> None:
    older = finished(store, "older")
    model = import_file(file, normalize="half")[0]
    newer = finished(store)
    store.create(TrainSettings(name="without weights"))
    found = networks(store)
    assert [(info.id, info.source, info.optimizer) for info in found] == [
        (newer.id, "run", "samar"),
        (model.id, "model", ""),
        (older.id, "run", "samar"),
    ]
    for info in found:
        assert load_network(store, info.id).title == info.title


def test_a_run_is_pinned_to_its_weights(store: Store) -> None:
    store.create(TrainSettings())
    running = store.claim_next("long", 1)
    assert running is not None
    with pytest.raises(RunError, match="has saved no weights yet"):
        pinned(store, NetworkSettings(network=running.id))
    resume_path(running.id).parent.mkdir(parents=True)
    resume_path(running.id).write_bytes(b"1")
    (info,) = networks(store)
    assert info.active
    first = pinned(store, NetworkSettings(network=running.id))
    resume_path(running.id).write_bytes(b"22")
    second = pinned(store, NetworkSettings(network=running.id))
    assert first["network"] == second["network"] == running.id
    assert first["sha256"] != second["sha256"]


def test_what_changes_between_asking_and_starting(
    file: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is refused; a run that has trained on is measured as it is now."""
    jobs, run = Jobs(store), finished(store)

    def start(change: Callable[[Job], object], **settings: Any) -> Job:
        def begin(store: Store, job: Job) -> None:
            change(job)
            worker.run(store, job)

        monkeypatch.setattr("samar.jobs.engine.local._start", begin)
        return jobs.get(jobs.submit(EvaluateSettings(images=16, **settings)))

    def write(step: int) -> None:
        save_weights(build_model("cnn", channels=1), weights_path(run.id), {"step": f"{step}"})

    about = {"network": str(file), "dataset": "digits"}
    job = start(lambda _: torch.save(build_model("cnn", channels=1).state_dict(), file), **about)
    assert (job.status, job.summary.get("accuracy")) == ("failed", None)
    assert job.message == "net.pt has changed since it was asked for; ask again."
    assert start(lambda _: None, **about).status == "finished"

    write(3)
    asked = pinned(store, NetworkSettings(network=run.id))
    job = start(lambda _: write(5), network=run.id)
    assert (job.status, job.message) == ("finished", "")
    now = pinned(store, NetworkSettings(network=run.id))
    assert job.inputs["networks"] == [now]
    assert now != asked
    assert load_network(store, run.id).facts["step"] == 5


def folder_of(root: Path, grey: int) -> Path:
    """A folder of two classes with one image each to learn from and to test on."""
    for part, name in itertools.product(("train", "test"), ("a", "b")):
        (root / part / name).mkdir(parents=True)
        Image.new("RGB", (32, 32), (grey, grey, grey + 9)).save(root / part / name / "1.png")
    return root


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "images", 20)


def test_a_file_of_any_name_is_a_checkpoint_unless_a_run_is_called_so(
    file: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    for name in ("best.pth.tar", "weights"):
        Path(name).write_bytes(file.read_bytes())
        facts = load_network(store, name, dataset="digits").facts
        assert (facts["checkpoint"], facts["model"], facts["normalize"]) == (name, "cnn", "auto")
        with pytest.raises(ConfigError, match=f"{name} is a checkpoint; say which --model and"):
            load_network(store, name)
    run = finished(store, "weights")
    for name in ("weights", run.number):
        Path(name).write_bytes(file.read_bytes())
        assert load_network(store, name).facts["run"] == run.id
    with pytest.raises(CheckpointError, match=r"There is no file /gone\.ckpt; check the path"):
        pinned(store, NetworkSettings(network="/gone.ckpt", dataset="digits"))
    with pytest.raises(RunError, match=r"There is no run 'gone\.ckpt'"):
        load_network(store, "gone.ckpt", dataset="digits")


def test_an_imported_model_knows_its_images(model: ImportedModel, store: Store) -> None:
    for what in (model.id, model.id[:6], "net"):
        network = load_network(store, what)
        assert (network.title, network.dataset.name) == ("net", "digits")
        assert network.dataset.normalization.mean == (0.5,)
    assert load_network(store, model.id, normalize="digits").dataset.normalization.mean == (0.3060,)


def test_an_imported_model_brings_its_normalization_to_other_images(
    store: Store, tmp_path: Path, images: Path
) -> None:
    other = folder_of(tmp_path / "bright", 200)
    torch.save(build_model("cnn", classes=2).state_dict(), tmp_path / "two.pt")
    model, _ = import_file(tmp_path / "two.pt", dataset=f"folder:{images}", normalize="auto")
    there = load_network(store, model.id)
    here = load_network(store, model.id, dataset=f"folder:{other}")
    assert here.dataset.normalization == there.dataset.normalization
    settings = NetworkSettings(network=model.id, dataset=f"folder:{other}")
    assert pinned(store, settings)["mean"] == model.mean
    plain = load_network(store, model.id, dataset=f"folder:{other}", normalize="half")
    assert plain.dataset.normalization.mean == (0.5, 0.5, 0.5)


def test_a_run_whose_weights_are_not_finite_ends_a_measurement_in_one_sentence(
    store: Store, inline: None
) -> None:
    run = finished(store, "diverged")
    network = build_model("cnn", channels=1)
    network.features[0].weight.data[0, 0] = float("nan")
    save_weights(network, weights_path(run.id), {})
    jobs = Jobs(store)
    job = jobs.get(jobs.submit(EvaluateSettings(network=run.id, images=16)))
    assert job.status == "failed"
    assert job.message.startswith(f"The weights file of {run.label} holds values that are not")
    assert "the first is features.0.weight with 9 of" in job.message


def test_a_run_is_shown_its_images_as_it_learned_them(images: Path, store: Store) -> None:
    settings = TrainSettings(dataset=f"folder:{images}", images_per_class=1)
    learned = dataset_of(settings).normalization
    store.create(settings)
    run = store.claim_next("long", 9)
    assert run is not None
    store.beat(run, summary=json.dumps({"about": asdict(learned)}))
    store.move(run, "finished")
    save_weights(build_model("cnn", classes=2), weights_path(run.id), {})
    Image.new("RGB", (32, 32), (255,) * 3).save(images / "train" / "b" / "zz.png")
    assert load_network(store, run.id).dataset.normalization == learned
