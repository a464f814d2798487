"""Jobs move from one store into another and back, and nothing of them changes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from samar.cli import main
from samar.jobs.sql import schema
from samar.jobs.sql.copying import Place, copy_jobs, place
from samar.jobs.sql.database import Database
from samar.jobs.store import Store
from samar.training.settings import TrainSettings

TABLES = (schema.jobs, schema.steps, schema.epochs, schema.events, schema.artifacts)


def content(where: Place) -> dict[str, list[Any]]:
    """All that a store holds of each job, without the numbers that it gave."""
    found: dict[str, list[Any]] = {}
    with where.database.read() as db:
        for key, job_id in db.execute(sa.select(schema.jobs.c.key, schema.jobs.c.id)).all():
            own = found[job_id] = []
            for table in TABLES:
                same = table.c["key" if table is schema.jobs else "job"] == key
                columns = [column for column in table.c if column.name not in ("key", "job")]
                own.append(sorted(map(repr, db.execute(sa.select(*columns).where(same)).all())))
            folder = where.files / job_id
            own.append(
                {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.safe*")}
            )
    return found


@pytest.fixture
def laptop(recorded: Callable[..., Any], samar_home: Path) -> Place:
    recorded(seed=1, weights=True)
    recorded(seed=2, optimizer="samar", status="diverged", weights=True)
    Store().create(TrainSettings(name="still waits"))
    return place(str(samar_home))


@pytest.fixture
def laboratory(tmp_path: Path, postgres: Any) -> Place:
    return place(postgres.fresh(), str(tmp_path / "laboratory"))


UNKNOWN = "~nobody-of-this-name/samar"


def test_to_a_server_and_back(laptop: Place, laboratory: Place, tmp_path: Path) -> None:
    waits = Store().get("still waits").id
    already = Store(str(laboratory.database.engine.url)).create(TrainSettings(name="was there"))
    calls: list[tuple[int, int]] = []
    found = copy_jobs(laptop, laboratory, lambda *done: calls.append(done))
    before = content(laptop)
    assert before.pop(waits)
    assert (len(found.copied), found.active, found.there) == (2, [waits], [])
    assert calls == [(1, 3), (2, 3), (3, 3)]
    after = content(laboratory)
    assert after.pop(already)
    assert after == before
    assert all(list(files) == ["weights.safetensors"] for *_, files in after.values())

    home = place(str(tmp_path / "again"), new=True)
    back = copy_jobs(laboratory, home, lambda *_: None)
    assert (sorted(back.copied), back.active) == (sorted(found.copied), [already])
    assert content(home) == before
    assert copy_jobs(laboratory, home, lambda *_: None).there == back.copied


def test_a_copy_that_was_broken_off_goes_on(
    laptop: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, copies = place(str(tmp_path / "other"), new=True), [0]
    plain = shutil.copytree

    def copy(source: Path, part: Path, **words: Any) -> None:
        if part.name.startswith(".copy-"):
            copies[0] += 1
        plain(source, part, **words)
        if copies[0] == 2:
            raise OSError("the cable was pulled")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", copy)
        with pytest.raises(OSError, match="cable"):
            copy_jobs(laptop, target, lambda *_: None)
    assert len(content(target)) == 1
    found = copy_jobs(laptop, target, lambda *_: None)
    assert (len(found.copied), len(found.there)) == (1, 1)
    assert content(target).items() <= content(laptop).items()
    assert not list(target.files.glob(".*"))


def test_the_command(laptop: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["store", "copy", str(laptop.files.parent), str(tmp_path / "other")]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("2 jobs copied; 1 job not ended and left out (")
    assert main([*command, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["there"]) == 2
    for words, told in (
        ([str(tmp_path / "nothing"), str(tmp_path / "other")], "There is no store in"),
        ([str(laptop.files.parent), str(laptop.files.parent)], "Both stores are the same"),
        (["postgresql://nobody@127.0.0.1:1/x", "y"], "give their folder"),
        (
            ["postgresql://nobody@127.0.0.1:1/x", "y", "--from-files", str(tmp_path)],
            "cannot be opened",
        ),
        ([UNKNOWN, "y"], "not known here"),
        ([str(laptop.files.parent), UNKNOWN], "not known here"),
        ([str(laptop.files.parent), "y", "--from-files", UNKNOWN], "not known here"),
        (["sqlite://", "y", "--from-files", UNKNOWN], "not known here"),
    ):
        assert main(["store", "copy", *words]) == 2
        told_so = capsys.readouterr().err
        assert told in told_so
        assert told_so.count("\n") == 1
    assert not (tmp_path / "nothing").exists()


def test_a_job_that_the_other_database_cannot_hold_is_named(
    laptop: Place, laboratory: Place
) -> None:
    job = laptop.database
    with job.write() as db:
        own = schema.jobs.update().where(schema.jobs.c.name != "still waits")
        db.execute(own.values(message="a\0b"))
    found = copy_jobs(laptop, laboratory, lambda *_: None)
    assert len(found.refused) == 2
    assert all("NUL" in problem for problem in found.refused.values())
    assert isinstance(laboratory.database, Database)
    assert content(laboratory) == {}
