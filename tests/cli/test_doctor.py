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


def test_findings(recorded: Callable[..., Job], capsys: pytest.CaptureFixture[str]) -> None:
    recorded(name="mine")
    with Store().database.write() as db:
        db.execute(schema.jobs.update().values(config="{}", kind="other"))
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("job #1: Job #1 (mine) does not fit this samar")
    assert "SAMAR_KINDS" in lines[-1]
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {finding["check"] for finding in found["findings"]} == {"row"}
    assert found["jobs"] == 1


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
    assert "see: python -m samar doctor" in capsys.readouterr().err
