"""Without room on the disk, or in the store, nothing is lost and one sentence says so."""

import errno
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from samar.cli import main
from samar.jobs import outbox
from samar.jobs.job import Job, job_dir
from samar.jobs.records import Records
from samar.jobs.service import Jobs
from samar.jobs.store import Store
from samar.networks import checkpoint
from samar.networks.load import SNAPSHOT
from samar.training.settings import TrainSettings
from tests.sameness import difference

SETTINGS = TrainSettings(
    images_per_class=13, batch_size=32, device="cpu", epochs=3, checkpoint_seconds=0.0
)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(outbox, "RETRY_SECONDS", 0.02)


@pytest.fixture
def jobs(inline: None) -> Jobs:
    return Jobs()


def full(path: str = "somewhere") -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def same(jobs: Jobs, one: Job, other: Job) -> None:
    assert difference(jobs, one, other) == ""


def test_what_is_optional_is_left_out_and_said(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = checkpoint.safetensors.torch.save_file

    def save(tensors: Any, path: Path, **words: Any) -> None:
        if "snapshots" in str(path):
            path.write_bytes(b"half")
            raise checkpoint.safetensors.SafetensorError("I/O error: No space (os error 28)")
        plain(tensors, path, **words)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.safetensors.torch, "save_file", save)
        run = jobs.get(jobs.submit(SETTINGS))
    assert run.status == "finished"
    assert jobs.store.records.artifacts(run.key, SNAPSHOT) == []
    missed = [e for e in jobs.store.records.events(run.key) if e.kind == "missed"]
    assert missed
    assert missed[0].detail["reason"].startswith("No space is left on the disk")
    assert f"{len(missed)} files were not kept, snapshots/weights-" in run.summary["missed"]
    assert not list(job_dir(run.id).rglob(".*"))
    same(jobs, run, jobs.get(jobs.submit(SETTINGS)))
    assert main(["show", run.id]) == 0
    assert "files were not kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("owner", "name"), [(Records, "append"), (Store, "beat"), (Records, "add_artifact")]
)
def test_a_store_without_room_for_a_moment_loses_nothing(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """The write fails three times in a row, four times over.

    Writes that wait go in one transaction, so a fault that came back for ever would let a large
    one never pass.
    """
    monkeypatch.setattr(outbox, "PATIENCE_SECONDS", 30.0)
    plain, calls = getattr(owner, name), [0]

    def write(self: Any, *arguments: Any, **words: Any) -> Any:
        calls[0] += 1
        if calls[0] < 40 and calls[0] % 10 < 3:
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        return plain(self, *arguments, **words)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, write)
        run = jobs.get(jobs.submit(SETTINGS))
    assert (run.status, run.message) == ("finished", "")
    assert calls[0] > 6
    other = jobs.get(jobs.submit(SETTINGS))
    same(jobs, run, other)
    kept = [
        sorted((a.kind, a.step) for a in jobs.store.records.artifacts(each.key))
        for each in (run, other)
    ]
    assert kept[0] == kept[1]


def test_where_waiting_does_not_help_the_run_resumes(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be written at all."""
    append, calls = Records.append, [0]
    broken = threading.Event()

    def refuse(self: Records, *arguments: Any, **words: Any) -> None:
        calls[0] += 1
        if calls[0] > 4:
            broken.set()
        if broken.is_set():
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))
        append(self, *arguments, **words)

    def no_beat(*arguments: Any, **words: Any) -> bool:
        if broken.is_set():
            raise OperationalError("UPDATE", {}, Exception("database or disk is full"))
        return beat(*arguments, **words)

    beat, move = jobs.store.beat, jobs.store.move
    with monkeypatch.context() as patch:
        patch.setattr(Records, "append", refuse)
        patch.setattr(jobs.store, "beat", no_beat)
        patch.setattr(
            jobs.store, "move", lambda *a, **w: no_beat() if broken.is_set() else move(*a, **w)
        )
        with pytest.raises(Exception, match="database or disk is full"):
            jobs.submit(SETTINGS)
    (run,) = jobs.store.all("train")
    assert run.status == "running"
    _its_process_is_gone(jobs, run)
    run = jobs.store.get(run.id)
    assert run.status == "interrupted"
    jobs.resume(run.id)
    run = jobs.get(run.id)
    assert run.status == "finished"
    same(jobs, run, jobs.get(jobs.submit(SETTINGS)))


def _its_process_is_gone(jobs: Jobs, run: Job) -> None:
    jobs.store.beat(run, pid=2**30, host=socket.gethostname())
    jobs.store.mark_interrupted()
