"""Downloads as jobs, against a web server on this machine."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from samar.data.sources.download import digest_of
from samar.errors import DataError
from samar.jobs.engine.worker import run
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.kinds.download import DownloadSettings, newest_download, progress_words
from samar.kinds.inspect import inspection_of
from samar.models.build import build_model
from samar.networks.library import imported_models, rename_model
from samar.networks.public import PUBLIC

NAME = "idelbayev-resnet20"


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a server, from which the public checkpoint NAME comes: a network for digits."""
    folder = tmp_path / "served"
    folder.mkdir()
    torch.save(build_model("cnn", channels=1).state_dict(), folder / "net.th")
    digits = digest_of(folder / "net.th", "sha256")[:8]
    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    entry = replace(
        PUBLIC[NAME],
        model="cnn",
        dataset="digits",
        normalize="half",
        url=f"http://127.0.0.1:{web.server_port}/net.th",
        sha256=digits,
    )
    monkeypatch.setitem(PUBLIC, NAME, entry)
    yield folder
    web.shutdown()
    thread.join()
    web.server_close()


def fetched(jobs: Jobs, **settings: object) -> Job:
    return jobs.store.get(jobs.submit(DownloadSettings(source=NAME, **settings)))


def test_a_checkpoint_is_verified_imported_and_measured(inline: None, served: Path) -> None:
    jobs = Jobs()
    job = fetched(jobs)
    assert (job.status, job.message) == ("finished", "")
    (model,) = imported_models()
    assert job.summary["imported"] == model.id
    assert (model.model, model.normalize, model.title, model.images) == ("cnn", "half", NAME, 797)
    found = inspection_of(job)
    assert found is not None
    assert found.accuracy == model.accuracy
    rename_model(model.id, "Mine")
    (served / "net.th").unlink()  # what was fetched is not fetched again, but is imported again
    again = fetched(jobs)
    assert again.id != job.id
    assert again.status == "finished"
    assert [(m.id, m.title) for m in imported_models()] == [(model.id, "Mine")]


def test_images_that_are_not_here_leave_it_unmeasured(
    inline: None, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PUBLIC, NAME, replace(PUBLIC[NAME], dataset="cifar10"))
    assert fetched(Jobs()).status == "finished"
    (model,) = imported_models()
    assert (model.dataset, model.accuracy) == ("cifar10", None)
    with pytest.raises(DataError, match="CIFAR-100 is not on this machine"):
        fetched(Jobs(), dataset="cifar100")


def test_other_bytes_and_no_network_are_one_sentence(
    inline: None, served: Path, samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PUBLIC, NAME, replace(PUBLIC[NAME], sha256="12345678"))
    job = fetched(Jobs())
    assert job.status == "failed"
    assert "is damaged (SHA256" in job.message
    assert list((samar_home / "models" / "downloads").iterdir()) == []
    monkeypatch.setitem(PUBLIC, NAME, replace(PUBLIC[NAME], url="http://127.0.0.1:9/net.th"))
    job = fetched(Jobs())
    assert job.status == "failed"
    assert "check the network" in job.message
    assert imported_models() == []


def test_pressing_twice_attaches_and_cancel_leaves_the_part(
    samar_home: Path, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second press finds the job that the first one started; what came is not lost."""
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    monkeypatch.setattr("samar.data.sources.download.CHUNK", 10_000)
    jobs, store = Jobs(), Store()
    first = fetched(jobs)
    assert fetched(jobs).id == first.id
    assert newest_download(store, NAME, active=True) == first
    assert newest_download(store, "cifar10", active=True) is None
    assert progress_words(first) == "Queued"
    job = store.claim_next("short", 1)
    assert job is not None
    assert fetched(jobs).id == first.id
    store.orders.post(job.key, "stop")
    run(store, job)
    ended = store.get(job.id)
    assert ended.status == "stopped"
    assert progress_words(ended).startswith("Downloading: 0.0 of 0.")
    (part,) = (samar_home / "models" / "downloads").iterdir()
    assert part.name == "net.th.part"
    assert 0 < part.stat().st_size < (served / "net.th").stat().st_size
    again = fetched(jobs)
    assert again.id != first.id
    claimed = store.claim_next("short", 1)
    assert claimed is not None
    run(store, claimed)
    assert store.get(again.id).status == "finished"


def test_a_data_set_tells_its_bytes(
    inline: None, samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive itself is tested with the reader; here, what the job tells and leaves."""
    from samar.data.load import load_dataset

    def load(name: str, *, download: bool, progress: object) -> object:
        assert (name, download) == ("cifar100", True)
        progress(52_000_000, 169_000_000)  # type: ignore[operator]
        return load_dataset("digits")

    monkeypatch.setattr("samar.data.load.load_dataset", load)
    jobs = Jobs()
    job = jobs.store.get(jobs.submit(DownloadSettings(source="cifar100")))
    assert job.status == "finished"
    assert (job.done, job.total) == (52_000_000, 169_000_000)
    assert progress_words(job) == "Downloading: 52.0 of 169.0 MB"
    assert {**job.summary, "checksum": ""} == {"train": 1000, "test": 797, "checksum": ""}
