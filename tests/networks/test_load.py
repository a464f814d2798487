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
from samar.kinds.curvature import CurvatureJobSettings
from samar.kinds.evaluate import EvaluateSettings
from samar.kinds.landscape import LandscapeJobSettings
from samar.models.build import build_model
from samar.networks.checkpoint import save_weights
from samar.networks.importing import import_file
from samar.networks.library import ImportedModel
from samar.networks.load import checksum, load_network, networks, pinned
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
    assert [info.title for info in found] == [newer.label, model.title, "older · #1"]
    assert found[2].label.startswith(f"older · #1 · {older.settings.described} · ")
    assert found[1].label == f"{model.title} · {model.id}"
    assert not any(info.active for info in found)
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


def test_the_files_of_many_networks_are_each_digested_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{number}.pt" for number in range(300)]
    for path in paths:
        path.write_bytes(path.name.encode())
    digested: list[Path] = []

    def counted(path: Path, algorithm: str) -> str:
        digested.append(path)
        return path.name

    monkeypatch.setattr("samar.networks.load.digest_of", counted)
    for _ in range(2):
        assert [checksum(path) for path in paths] == [path.name for path in paths]
    assert digested == paths


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
    settings = job.settings
    assert store.same(settings, {"networks": [asked], "title": asked["title"]}) is None
    again = store.same(settings, {"networks": [now], "title": now["title"]})
    assert again is not None
    assert again.id == job.id
    assert load_network(store, run.id).facts["step"] == 5

    def begun(job: Job) -> None:
        store.records.add_artifact(job.key, "partial", 1, "partial.npz")
        write(9)

    write(7)
    job = start(begun, network=run.id)
    assert job.message == f"{run.label} has changed since it was asked for; ask again."


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of two classes with one image each to learn from and to test on."""
    for part, name in itertools.product(("train", "test"), ("a", "b")):
        folder = tmp_path / "images" / part / name
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32), (9, 20, 90)).save(folder / "1.png")
    return tmp_path / "images"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    torch.save(build_model("cnn", classes=2).state_dict(), tmp_path / "two.pt")
    return tmp_path / "two.pt"


def test_images_that_change_between_asking_and_starting(
    two: Path, images: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are measured as they are now, unless something was measured of the others."""
    jobs = Jobs(store)

    def start(kept: bool) -> Job:
        def begin(store: Store, job: Job) -> None:
            if kept:
                store.records.add_artifact(job.key, "partial", 1, "partial.npz")
            Image.new("RGB", (32, 32)).save(images / "test" / "a" / f"{job.number}.png")
            worker.run(store, job)

        monkeypatch.setattr("samar.jobs.engine.local._start", begin)
        of = {"network": str(two), "dataset": f"folder:{images}"}
        settings = EvaluateSettings(**of, images=9 if kept else None)
        return jobs.get(jobs.submit(settings))

    job = start(kept=False)
    assert (job.status, job.summary["images"]) == ("finished", 3)
    assert job.inputs["networks"] == [pinned(store, job.settings)]
    job = start(kept=True)
    assert job.status == "failed"
    told = "The images of two.pt have changed since it was asked for; ask again."
    assert job.message == told


def test_a_folder_of_images_is_the_one_meant_where_it_was_asked_for(
    two: Path, images: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.jobs.engine.local._start", lambda *_: None)
    monkeypatch.setenv("HOME", str(images.parent))
    jobs, elsewhere = Jobs(store), images.parent / "elsewhere"
    elsewhere.mkdir()
    for written in ("folder:images", "folder:~/images"):
        monkeypatch.chdir(images.parent)
        job = jobs.get(jobs.submit(EvaluateSettings(network=str(two), dataset=written)))
        assert job.settings.dataset == job.inputs["networks"][0]["dataset"] == f"folder:{images}"
        assert f"--dataset folder:{images}" in job.settings.command
        monkeypatch.chdir(elsewhere)
        worker.run(store, job)
        job = jobs.get(job.id)
        assert (job.status, job.message) == ("finished", "")
        store.delete(job.id)


def test_a_file_of_any_name_is_a_checkpoint_unless_a_run_is_called_so(
    file: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    for name in ("net.ckpt", "NET.PT", "best.pth.tar", "weights"):
        Path(name).write_bytes(file.read_bytes())
        assert load_network(store, name, dataset="digits").facts["checkpoint"] == name
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
        assert network.facts["imported"] == model.id
        assert network.facts["sha256"] == model.sha256
        assert network.facts["normalize"] == "half"
    assert load_network(store, model.id, normalize="digits").dataset.normalization.mean == (0.3060,)


def test_an_imported_model_brings_its_normalization_to_other_images(
    store: Store, tmp_path: Path
) -> None:
    own, other = tmp_path / "dark", tmp_path / "bright"
    for root, grey in ((own, 20), (other, 200)):
        for part, name in itertools.product(("train", "test"), ("a", "b")):
            (root / part / name).mkdir(parents=True)
            Image.new("RGB", (32, 32), (grey, grey, grey + 9)).save(root / part / name / "1.png")
    torch.save(build_model("cnn", classes=2).state_dict(), tmp_path / "two.pt")
    model, _ = import_file(tmp_path / "two.pt", dataset=f"folder:{own}", normalize="auto")
    there = load_network(store, model.id)
    here = load_network(store, model.id, dataset=f"folder:{other}")
    assert here.dataset.normalization == there.dataset.normalization
    settings = NetworkSettings(network=model.id, dataset=f"folder:{other}")
    assert pinned(store, settings)["mean"] == model.mean
    plain = load_network(store, model.id, dataset=f"folder:{other}", normalize="half")
    assert plain.dataset.normalization.mean == (0.5, 0.5, 0.5)

    path = model.weights.with_name("model.json")  # as if it had been imported without images
    told = {n: v for n, v in json.loads(path.read_text()).items() if n not in ("mean", "std")}
    path.write_text(json.dumps(told))
    assert load_network(store, model.id).dataset.normalization == there.dataset.normalization
    with pytest.raises(ConfigError, match="The normalization of two was not measured when it was"):
        load_network(store, model.id, dataset=f"folder:{other}")
    path.write_text(json.dumps({**told, "dataset": "cifar10"}))  # whose own has a name
    found = load_network(store, model.id, dataset=f"folder:{other}")
    assert found.facts["normalize"] == "cifar"


def test_a_file_is_recognized(file: Path, store: Store) -> None:
    network = load_network(store, str(file), dataset="digits")
    assert network.facts == {
        "checkpoint": "net.pt",
        "model": "cnn",
        "dataset": "digits",
        "normalize": "auto",
    }
    assert torch.equal(
        network.model.linear.weight,
        load_network(store, str(file), model="cnn", dataset="digits").model.linear.weight,
    )
    with pytest.raises(ConfigError, match="is a checkpoint; say which --model and --dataset it"):
        load_network(store, str(file))
    with pytest.raises(CheckpointError, match="does not fit ResNet-20"):
        load_network(store, str(file), model="resnet20", dataset="digits")


def test_names_that_are_taken_twice_or_by_nobody(model: ImportedModel, store: Store) -> None:
    run = finished(store, "net")
    sentence = f"'net' fits the run {run.id} and the model {model.id}; give one of these ids."
    with pytest.raises(RunError, match=sentence):
        load_network(store, "net")
    assert load_network(store, run.id).facts["run"] == run.id
    with pytest.raises(RunError, match="There is no run 'nothing'"):
        load_network(store, "nothing")


def test_a_model_whose_weights_are_gone(model: ImportedModel, store: Store) -> None:
    model.weights.unlink()
    with pytest.raises(CheckpointError, match="There is no checkpoint file at"):
        load_network(store, model.id)
    assert networks(store) == []


@pytest.mark.parametrize("kind", [EvaluateSettings, LandscapeJobSettings, CurvatureJobSettings])
def test_a_run_whose_weights_are_not_finite_ends_a_measurement_in_one_sentence(
    store: Store, inline: None, kind: Any
) -> None:
    run = finished(store, "diverged")
    network = build_model("cnn", channels=1)
    network.features[0].weight.data[0, 0] = float("nan")
    save_weights(network, weights_path(run.id), {})
    jobs = Jobs(store)
    job = jobs.get(jobs.submit(kind(network=run.id, images=16)))
    assert job.status == "failed"
    assert job.message.startswith(f"The weights file of {run.label} holds values that are not")
    assert "the first is features.0.weight with 9 of" in job.message


def test_a_saved_state_that_is_not_finite(store: Store) -> None:
    run = finished(store, "diverged")
    weights_path(run.id).unlink()
    state = {"model": build_model("cnn", channels=1).state_dict(), "step": 3, "optimizer": {}}
    state["model"]["linear.bias"][0] = float("inf")
    torch.save(state, resume_path(run.id))
    with pytest.raises(CheckpointError, match=r"The weights file of .* linear\.bias with 1 of 10"):
        load_network(store, run.id)


def test_a_run_is_shown_its_images_as_it_learned_them(images: Path, store: Store) -> None:
    settings = TrainSettings(dataset=f"folder:{images}", images_per_class=1)
    learned = dataset_of(settings).normalization
    for about in (asdict(learned), {}, {"mean": [0.5], "std": [0.5]}):  # the last fits nothing
        store.create(settings)
        run = store.claim_next("long", 9)
        assert run is not None
        store.beat(run, summary=json.dumps({"about": about}))
        store.move(run, "finished")
        save_weights(build_model("cnn", classes=2), weights_path(run.id), {})
        Image.new("RGB", (32, 32), (255,) * 3).save(images / "train" / "b" / f"zz{run.id}.png")
        found = load_network(store, run.id).dataset.normalization
        assert (found == learned) == ("mean" in about and len(about["mean"]) == 3)
