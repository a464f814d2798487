"""Without room on the disk, or in the store, nothing is lost and one sentence says so."""

import contextlib
import errno
import gc
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy.exc import OperationalError

from samar.cli import main
from samar.jobs import outbox
from samar.jobs.job import Job, job_dir, resume_path
from samar.jobs.records import Records
from samar.jobs.service import Jobs
from samar.jobs.sql.database import StoreBusy
from samar.jobs.store import Store
from samar.networks import checkpoint
from samar.networks.checkpoint import save_weights
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
    plain = Path.write_bytes

    def write(self: Path, content: bytes) -> int:
        if self.name.startswith(".film"):
            plain(self, content[: len(content) // 2])
            raise full(str(self))
        return plain(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write)
        patch.setattr(checkpoint.safetensors.torch, "save_file", _refused_by_rust)
        with pytest.raises(OSError, match="No space"):
            save_weights(torch.nn.Linear(1, 1), job_dir("x") / "w.safetensors", {})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write)
        run = jobs.get(jobs.submit(SETTINGS))
    assert run.status == "finished"
    assert jobs.store.records.artifacts(run.key, "film_plane") == []
    missed = [e for e in jobs.store.records.events(run.key) if e.kind == "missed"]
    assert missed
    assert missed[0].detail["reason"].startswith("No space is left on the disk")
    assert f"{len(missed)} files were not kept, film/film_" in run.summary["missed"]
    assert not list(job_dir(run.id).rglob(".*"))
    same(jobs, run, jobs.get(jobs.submit(SETTINGS)))
    assert main(["show", run.id]) == 0
    assert "files were not kept" in capsys.readouterr().out


def _refused_by_rust(*_: Any, **__: Any) -> None:
    raise checkpoint.safetensors.SafetensorError("I/O error: No space left (os error 28)")


@pytest.mark.parametrize(
    ("owner", "name"), [(Records, "append"), (Store, "beat"), (Records, "add_artifact")]
)
def test_a_store_without_room_for_a_moment_loses_nothing(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """The write fails again and again, three times in a row."""
    plain, calls = getattr(owner, name), [0]

    def write(self: Any, *arguments: Any, **words: Any) -> Any:
        calls[0] += 1
        if calls[0] % 10 < 3:
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """``small_disk(bytes)`` mounts a disk of that size, for those who may."""
    mounted: list[Path] = []

    def mount(size: int) -> Path:
        place = tmp_path / "small"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            pytest.skip("only the administrator of a Linux machine mounts a small disk")
        mounted.append(place)
        return place

    if shutil.which("mount") is None:
        pytest.skip("this system mounts no small disk")
    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_run_on_a_disk_that_fills_up_and_is_freed(
    inline: None,
    small_disk: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    disk = small_disk(8 << 20)
    usual = Jobs(Store(f"sqlite:///{tmp_path / 'usual.db'}"))
    expected = usual.get(usual.submit(SETTINGS))
    monkeypatch.setenv("SAMAR_HOME", str(disk))
    jobs = Jobs()
    ballast = disk / "ballast"

    def fill() -> None:
        with ballast.open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass

    def freed_later() -> None:
        time.sleep(1.5)
        ballast.unlink()

    # Full from the start, or only to be read: one sentence, and nothing is lost.
    first = jobs.get(jobs.submit(SETTINGS.changed(epochs=1)))
    archive = tmp_path / "first.zip"
    assert main(["export", first.id, "--out", str(archive)]) == 0
    fill()
    for remount in ([], ["mount", "-o", "remount,ro", str(disk)]):
        if remount:
            jobs.store.database.engine.dispose()
            gc.collect()  # what the commands left open
            subprocess.run(remount, check=True)
        for command, statuses in (
            ("train --epochs 1", (2,)),
            ("runs", (0, 2)),
            ("jobs --json", (0, 2)),
            ("sweeps", (0, 2)),
            ("models", (0, 2)),
            (f"show {first.id}", (0, 2)),
            (f"import {archive}", (2,)),
            (f"landscape {first.id} --points 3 --images 32 --out {disk}/plane.npz", (2,)),
            (f"export {first.id} --out {disk}/again.zip", (2,)),
            (f"delete {first.id}", (2,)),
        ):
            capsys.readouterr()
            assert main(command.split()) in statuses, command
            told = capsys.readouterr()
            assert "Traceback" not in told.err + told.out
            assert told.err.count("\n") <= 2, told.err
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    ballast.unlink()
    gc.collect()
    with contextlib.suppress(StoreBusy):  # a connection that could only read is given up
        jobs.get(first.id)
    assert jobs.get(first.id).status == "finished"
    assert not list(disk.rglob(".*"))
    # Full while it trains, and freed before the patience is over.
    monkeypatch.setattr(outbox, "PATIENCE_SECONDS", 60.0)
    step, once = outbox.Outbox.flush, [False]

    def flush(self: Any) -> None:
        if self.job.kind == "train" and self._facts.get("done", 0) >= 5 and not once[0]:
            once[0] = True
            fill()
            threading.Thread(target=freed_later).start()
        step(self)

    monkeypatch.setattr(outbox.Outbox, "flush", flush)
    run = jobs.get(jobs.submit(SETTINGS))
    assert once[0]
    assert (run.status, run.message) == ("finished", "")
    theirs = usual.store.records.steps(expected.key)
    ours = jobs.store.records.steps(run.key)
    np.testing.assert_array_equal(ours["loss"], theirs["loss"])
    # Full for good: it ends with a sentence, and resumes where there is room again.
    monkeypatch.setattr(outbox, "PATIENCE_SECONDS", 0.3)
    once[0] = False

    def fill_at_last(self: Any) -> None:
        if self.job.kind == "train" and self._facts.get("done", 0) >= 7 and not once[0]:
            once[0] = True
            fill()
        step(self)

    monkeypatch.setattr(outbox.Outbox, "flush", fill_at_last)
    try:
        jobs.submit(SETTINGS)
    except Exception as error:
        assert "No space" in str(error) or "full" in str(error)  # noqa: PT017
    assert once[0]
    ballast.unlink()
    monkeypatch.setattr(outbox.Outbox, "flush", step)
    newest = jobs.store.all("train")[0]
    _its_process_is_gone(jobs, newest)
    newest = jobs.store.get(newest.id)
    if newest.status != "finished":
        assert newest.status in ("interrupted", "failed")
        jobs.resume(newest.id)
    newest = jobs.get(newest.id)
    assert newest.status == "finished"
    ours = jobs.store.records.steps(newest.key)
    np.testing.assert_array_equal(ours["loss"], theirs["loss"])
    assert not resume_path(newest.id).exists()
