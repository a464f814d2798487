"""``samar doctor`` as a user types it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from samar.cli import main
from samar.jobs.job import Job
from samar.jobs.sql import schema
from samar.jobs.store import Store


def test_a_healthy_store(
    recorded: Callable[..., Job], samar_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded()
    for other in ("downloads", "uploads", ".DS_Store", "m0"):
        (samar_home / "models" / other).mkdir(parents=True)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("samar.db is healthy.\n")


def test_findings_and_a_copy(
    recorded: Callable[..., Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = recorded(name="mine")
    with Store().database.write() as db:
        db.execute(schema.jobs.update().values(tags=b"\x00", message=b"\x01"))
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("job #1: its message cannot be read")
    assert lines[-1].endswith("python -m samar doctor --repair COPY.db")
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {each["check"] for each in found["findings"]} == {"row"}
    assert found["jobs"] == 1
    copy = tmp_path / "copy.db"
    assert main(["doctor", "--repair", str(copy)]) == 1
    assert f"SAMAR_STORE=sqlite:///{copy}" in capsys.readouterr().out
    assert Store(f"sqlite:///{copy}").get("mine").id == run.id
    assert main(["doctor", "--repair", str(copy)]) == 2
    assert "choose another name" in capsys.readouterr().err


def test_a_copy_in_a_home_folder_that_is_not_known(
    recorded: Callable[..., Job], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--repair", "~nobody-of-this-name/copy.db"]) == 2
    error = capsys.readouterr().err
    assert "begins in a folder that is not known here" in error
    assert error.count("\n") == 1


def test_a_store_that_cannot_be_opened(
    samar_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (samar_home / "samar.db").write_text("no database" * 99)
    folder = samar_home / "models" / "m0123abcd"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{")
    assert main(["doctor"]) == 2
    out = capsys.readouterr().out
    assert "file is not a database" in out
    assert "its model.json cannot be read" in out  # the rest is looked at all the same
    assert main(["runs"]) == 2
    assert "see what can be saved with: python -m samar doctor" in capsys.readouterr().err
