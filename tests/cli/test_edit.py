"""``samar edit``, and what a command says of a run that was edited."""

import os
import shlex
from pathlib import Path

import pytest

from samar.cli import main
from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.training.settings import TrainSettings

TINY = "train --images-per-class 13 --batch-size 32 --device cpu --epochs 1 "


@pytest.fixture
def training(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A run that a process seems to train."""
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    store = Jobs().store
    job = store.claim(store.create(TrainSettings()))
    assert job is not None
    store.beat(job, pid=os.getpid())
    return job


def test_a_held_strength_is_set_free(training: Job, capsys: pytest.CaptureFixture[str]) -> None:
    for word, value in (("0.5", 0.5), ("none", None)):
        assert main(["edit", training.id, "--lam-held", word]) == 0
        (*_, order) = Jobs().store.orders.after(0, training.key)
        assert order.detail["lam_held"] == value
    assert main(["edit", training.id, "--rho", "none"]) == 2
    assert "rho is 'none', but it must be a number" in capsys.readouterr().err


@pytest.mark.usefixtures("inline")
def test_the_commands_that_repeat_an_edited_run_work_as_they_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("given.json").write_text('[{"step": 2, "values": {"rho": 0.3}}]', encoding="utf-8")
    assert main([*TINY.split(), "--edits", "given.json"]) == 0
    printed = capsys.readouterr().out.split("python -m samar ")[1:]
    commands = [shlex.split(text.splitlines()[0]) for text in printed]
    assert [words[0] for words in commands] == ["export", "train"]
    for words in commands:
        assert main(words) == 0
    newest, first = Jobs().all("train")
    assert [edit.values for edit in Jobs().edits(newest)] == [{"rho": 0.3}]
    assert newest.settings == first.settings
