"""Jobs move from one store into another and back, and nothing of them changes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from samar.cli import main
from samar.jobs.service import Jobs
from samar.jobs.sql import schema
from samar.jobs.sql.copying import Place, copy_jobs, place
from samar.jobs.sql.database import Database
from samar.jobs.store import Store
from samar.sweeps.service import advance
from samar.sweeps.spec import SweepSpec
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
    return place(postgres.fresh(), str(tmp_path / "laboratory"), new=True)


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
        (
            [str(laptop.files.parent), str(tmp_path / "no"), "--from-files", str(tmp_path / "rns")],
            f"There is no folder {tmp_path / 'rns'}; give the one that holds the jobs' files.",
        ),
        ([str(laptop.files.parent), "y", "--from-files", UNKNOWN], "not known here"),
        (["sqlite://", "y", "--from-files", UNKNOWN], "not known here"),
    ):
        assert main(["store", "copy", *words]) == 2
        told_so = capsys.readouterr().err
        assert told in told_so
        assert told_so.count("\n") == 1
    assert not (tmp_path / "nothing").exists()
    assert not (tmp_path / "no").exists()


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


def test_a_job_whose_files_are_elsewhere_is_not_copied_without_them(
    laptop: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, other = str(laptop.files.parent), str(tmp_path / "other")
    bare = tmp_path / "bare"
    bare.mkdir()
    assert main(["store", "copy", home, other, "--from-files", str(bare)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("0 jobs copied; 1 job not ended")
    assert out.count(" was not copied: there is no folder ") == 2
    assert main(["store", "copy", home, other]) == 0
    copied = content(place(other))
    assert len(copied) == 2
    assert copied.items() <= content(laptop).items()


def test_files_of_the_store_in_use_are_where_it_keeps_them(
    laptop: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = laptop.files.parent, tmp_path / "files"
    laptop.files.rename(elsewhere)
    monkeypatch.setenv("SAMAR_ARTIFACTS", str(elsewhere))
    assert place(str(home)).files == elsewhere
    found = copy_jobs(place(str(home)), place(str(tmp_path / "other"), new=True), lambda *_: None)
    assert (len(found.copied), found.refused) == (2, {})
    # Of another store than the one in use, they are beside it.
    assert place(str(tmp_path / "other")).files == tmp_path / "other" / "runs"
    for used in ("postgresql://samar@db.example.org/samar", "no url", "sqlite:///~nobody-here/x"):
        monkeypatch.setenv("SAMAR_STORE", used)
        assert place(str(home)).files == home / "runs"
    monkeypatch.setenv("SAMAR_STORE", f"sqlite:///{home}/samar.db")
    assert place(str(home)).files == elsewhere


def a_sweep(store: Store) -> str:
    """Of three runs, the first of which is at work."""
    sweep = store.create(SweepSpec(grid={"rho": (0.05, 0.1, 0.2)}, seeds=1))
    advance(store, 1)
    assert store.claim_next("long", 1) is not None
    return sweep


def test_a_stopped_sweep_takes_its_waiting_runs_along(samar_home: Path, tmp_path: Path) -> None:
    store = Store()
    sweep = a_sweep(store)
    store.move(store.all(status=("running",), parent=sweep)[0], "finished")
    source, target = place(str(samar_home)), place(str(tmp_path / "other"), new=True)
    still = copy_jobs(source, target, lambda *_: None)
    assert (len(still.copied), len(still.active)) == (1, 3)  # as long as it goes on
    Jobs(store).stop(sweep)
    found = copy_jobs(source, target, lambda *_: None)
    assert (len(found.copied), found.active) == (3, [])
    assert content(target) == content(source)
    there = Store(str(target.database.engine.url))
    assert [job.status for job in there.all(parent=sweep)] == ["queued", "queued", "finished"]
    assert there.next_queued() is None  # before the sweep is resumed


def test_a_sweep_that_is_still_stopping_stays(samar_home: Path, tmp_path: Path) -> None:
    store = Store()
    sweep = a_sweep(store)
    Jobs(store).stop(sweep)
    target = place(str(tmp_path / "other"), new=True)
    found = copy_jobs(place(str(samar_home)), target, lambda *_: None)
    assert (found.copied, len(found.active)) == ([], 4)
    assert sweep in found.active


def test_runs_do_not_wait_where_their_sweep_could_not_be_copied(
    samar_home: Path, laboratory: Place
) -> None:
    store = Store()
    sweep = a_sweep(store)
    store.move(store.all(status=("running",), parent=sweep)[0], "finished")
    Jobs(store).stop(sweep)
    with store.database.write() as db:
        db.execute(schema.jobs.update().where(schema.jobs.c.id == sweep).values(doing="a\0b"))
    found = copy_jobs(place(str(samar_home)), laboratory, lambda *_: None)
    assert list(found.refused) == [sweep]
    assert (len(found.copied), len(found.active)) == (1, 2)
