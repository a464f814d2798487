"""Runs, imported models and files are all subjects, found by id, name or path."""

from pathlib import Path

import pytest
import torch

from samar.errors import CheckpointError, ConfigError, RunError
from samar.jobs.files import resume_path, weights_path
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.models.build import build_model
from samar.networks.checkpoint import save_weights
from samar.networks.importing import import_file
from samar.networks.library import ImportedModel
from samar.networks.load import load_subject, subjects
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
    run = store.claim_next(limit=9)
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
    found = subjects(Jobs(store))
    assert [(info.id, info.kind, info.optimizer) for info in found] == [
        (newer.id, "run", "samar"),
        (model.id, "model", ""),
        (older.id, "run", "samar"),
    ]
    assert found[2].label == f"older · {older.id}"
    assert not any(info.active for info in found)
    for info in found:
        assert load_subject(info.id).title == info.title


def test_a_version_changes_with_the_weights(running: Job) -> None:
    resume_path(running.id).parent.mkdir(parents=True)
    resume_path(running.id).write_bytes(b"1")
    (first,) = subjects()
    assert first.active
    weights_path(running.id).write_bytes(b"2")
    (second,) = subjects()
    assert second.version != first.version


def test_an_imported_model_knows_its_images(model: ImportedModel) -> None:
    for what in (model.id, model.id[:6], "net"):
        subject = load_subject(what)
        assert (subject.title, subject.dataset.name) == ("net", "digits")
        assert subject.dataset.normalization.mean == (0.5,)
        assert subject.facts["imported"] == model.id
        assert subject.facts["sha256"] == model.sha256
        assert subject.facts["normalize"] == "half"
    assert load_subject(model.id, normalize="digits").dataset.normalization.mean == (0.3060,)


def test_a_file_is_recognized(file: Path, store: Store) -> None:
    subject = load_subject(str(file), dataset="digits")
    assert subject.facts == {
        "checkpoint": "net.pt",
        "model": "cnn",
        "dataset": "digits",
        "normalize": "auto",
    }
    assert torch.equal(
        subject.model.linear.weight,
        load_subject(str(file), model="cnn", dataset="digits").model.linear.weight,
    )
    with pytest.raises(ConfigError, match="is a weights file; say which --model and --dataset it"):
        load_subject(str(file))
    with pytest.raises(CheckpointError, match="does not fit resnet20"):
        load_subject(str(file), model="resnet20", dataset="digits")


def test_names_that_are_taken_twice_or_by_nobody(model: ImportedModel, store: Store) -> None:
    run = finished(store, "net")
    sentence = f"'net' fits the run {run.id} and the model {model.id}; give one of these ids."
    with pytest.raises(RunError, match=sentence):
        load_subject("net")
    assert load_subject(run.id).facts["run"] == run.id
    with pytest.raises(RunError, match="There is no run 'nothing'"):
        load_subject("nothing")


def test_a_model_whose_weights_are_gone(model: ImportedModel) -> None:
    model.weights.unlink()
    with pytest.raises(CheckpointError, match="There is no checkpoint file at"):
        load_subject(model.id)
    assert subjects() == []
