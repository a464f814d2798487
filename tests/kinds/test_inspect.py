"""Inspection as a job: what it leaves, when it is reused, how it ends."""

from pathlib import Path

import pytest
import torch

from samar.errors import CheckpointError, DataError
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.kinds.inspect import FOUND, WEIGHTS, InspectSettings, inspection_of, keep_model
from samar.models.build import build_model
from samar.networks.checkpoint import read_checkpoint
from samar.networks.library import delete_model, imported_models


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save(build_model("cnn", channels=1).state_dict(), tmp_path / "net.pt")
    return tmp_path / "net.pt"


@pytest.fixture
def jobs(inline: None) -> Jobs:
    return Jobs()


def inspected(jobs: Jobs, file: Path, **settings: object) -> Job:
    return jobs.store.get(jobs.submit(InspectSettings(file=str(file), **settings)))


def test_it_leaves_what_it_found_and_the_weights(jobs: Jobs, file: Path) -> None:
    job = inspected(jobs, file)
    assert (job.status, job.message) == ("finished", "")
    assert {each.kind for each in jobs.store.records.artifacts(job.key)} == {FOUND, WEIGHTS}
    found = inspection_of(job)
    assert found is not None
    assert (found.fit.model, found.dataset, found.images, found.of) == ("cnn", "digits", 797, 797)
    assert job.summary["model"] == "cnn"
    assert job.summary["accuracy"] == found.accuracy
    assert imported_models() == []  # nobody asked for that

    file.unlink()  # the job has what is needed
    model = keep_model(job, "mine")
    assert (model.title, model.correct, model.images) == ("mine", found.correct, 797)
    about = read_checkpoint(model.weights).metadata
    assert about == {"model": "cnn", "dataset": "digits", "normalize": found.normalize}
    delete_model(model.id)
    assert keep_model(job).title == "net"


def test_reused_for_equal_contents_and_settings(jobs: Jobs, file: Path) -> None:
    first = inspected(jobs, file)
    assert inspected(jobs, file).id == first.id
    assert inspected(jobs, file, normalize="half").id != first.id
    assert jobs.submit(InspectSettings(file=str(file)), anew=True) != first.id
    torch.save(build_model("cnn", channels=1).state_dict(), file)
    other = inspected(jobs, file)
    assert other.id != first.id
    assert other.inputs["networks"][0]["sha256"] != first.inputs["networks"][0]["sha256"]


def test_a_file_that_fits_nothing_is_a_finding(jobs: Jobs, file: Path) -> None:
    job = inspected(jobs, file, model="resnet20")
    assert job.status == "finished"
    found = inspection_of(job)
    assert found is not None
    assert found.fit.mismatches
    assert job.summary["model"] is None
    assert job.summary["problem"] == found.problem
    assert [each.kind for each in jobs.store.records.artifacts(job.key)] == [FOUND]
    with pytest.raises(CheckpointError, match=r"net\.pt: The file does not fit ResNet-20"):
        keep_model(job)


def test_images_that_do_not_fit_leave_what_was_recognized(jobs: Jobs, file: Path) -> None:
    state = build_model("cnn", channels=1, classes=7).state_dict()
    torch.save(state, file)
    job = inspected(jobs, file, dataset="digits")
    assert job.status == "failed"
    assert job.message.startswith("The network is made for 7 classes, but the images of digits")
    found = inspection_of(job)
    assert found is not None
    assert found.classes == 7
    assert (
        "No images on this machine are of 7 classes and 1 channel, "
        in inspected(jobs, file).message
    )


def test_what_cannot_be_read_is_one_sentence(jobs: Jobs, file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no checkpoint file at nothing\.pt; check"):
        jobs.submit(InspectSettings(file="nothing.pt"))
    with pytest.raises(DataError, match="CIFAR-10 is not on this machine"):
        jobs.submit(InspectSettings(file=str(file), dataset="cifar10"))
    assert jobs.store.all() == []
    torch.save(build_model("cnn", channels=1), file)
    job = inspected(jobs, file)
    assert job.status == "failed"
    assert job.message.startswith("The file holds more than tensors and is refused")
    assert str(tmp_path) not in job.message
    assert inspection_of(job) is None


def test_told_to_stop_it_stops(jobs: Jobs, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(job: Job) -> None:
        jobs.store.orders.post(job.key, "stop")

    from samar.jobs.engine import worker

    plain = worker.run
    monkeypatch.setattr(
        "samar.jobs.engine.local._start", lambda store, job: (stop(job), plain(store, job))
    )
    job = inspected(jobs, file)
    assert job.status == "stopped"
    assert inspection_of(job) is None
