"""What is found in damaged stores, and what a repaired copy has."""

import hashlib
import os
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from samar.cli import main
from samar.errors import ConfigError, RunError
from samar.home import home
from samar.jobs.doctor import examine as examine_module
from samar.jobs.doctor.examine import Report, examine
from samar.jobs.doctor.repair import repair
from samar.jobs.files import job_dir
from samar.jobs.store import Store
from samar.training.settings import TrainSettings

PAGE = 4096


@pytest.fixture
def file(samar_home: Path, recorded) -> Path:
    """A store with three ended runs, each with a file."""
    store = Store()
    for seed in range(3):
        run = recorded(seed=seed, done=40, per_epoch=20, name=f"run {seed}")
        job_dir(run.id).mkdir(parents=True)
        (job_dir(run.id) / "plane.npz").write_bytes(b"plane")
        store.records.add_artifact(run.key, "plane", 1, "plane.npz", {"loss": 1.0})
    with store.database.engine.connect() as db:
        db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.database.engine.dispose()
    return samar_home / "samar.db"


def run_sql(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(statements)


def age(*paths: Path) -> None:
    """Let nothing have been written to them for an hour."""
    for path in paths:
        os.utime(path, (time.time() - 3600,) * 2)


def told(report: Report, check: str) -> list[str]:
    return [str(each) for each in report.findings if each.check == check]


def damage(path: Path, table: str) -> None:
    """Overwrite one page of a table that is not its root; of the steps one within a block."""
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        if table == "steps":
            (rows,) = db.execute("SELECT rows FROM steps WHERE job = 2").fetchone()
            page = content.index(rows[20_000:20_080]) // PAGE + 1
        else:
            (root,) = db.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
            ).fetchone()
            children = root_children(content, root)
            middle = children[len(children) // 2 :]
            page = next(n for n in middle if content[(n - 1) * PAGE] == 0x0D)
    with path.open("r+b") as target:
        target.seek((page - 1) * PAGE)
        target.write(b"\xff" * PAGE)


def root_children(content: bytes, root: int) -> list[int]:
    """The pages below an interior page of a tree."""
    page = content[(root - 1) * PAGE : root * PAGE]
    assert page[0] in (2, 5)
    count = int.from_bytes(page[3:5], "big")
    cells = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n], "big") for n in range(count)]
    return [int.from_bytes(page[at : at + 4], "big") for at in cells]


def test_a_sound_store_is_healthy(file: Path) -> None:
    report = examine()
    assert report.findings == []
    assert (report.status, report.jobs) == (0, 3)


def test_a_home_with_nothing_is_healthy_and_stays_so(samar_home: Path) -> None:
    assert examine().status == 0
    assert list(samar_home.iterdir()) == []


def test_a_store_that_is_gone_though_runs_are_there(file: Path) -> None:
    file.unlink()
    report = examine()
    assert report.status == 2
    assert "it is not there, though there are folders of runs" in told(report, "store")[0]


@pytest.mark.parametrize(
    ("statements", "check", "sentence"),
    [
        ("DROP TABLE controls", "schema", "controls: the table is missing"),
        ("ALTER TABLE jobs DROP COLUMN tags", "schema", "jobs: the column tags is missing"),
        ("UPDATE schema_version SET version = 'two'", "schema", "the version is 'two'"),
        ("UPDATE jobs SET config = '{}' WHERE key = 2", "row", "job #2: its settings"),
        ("UPDATE jobs SET config = '{\"a\": 1}' WHERE key = 2", "row", "no setting called 'a'"),
        ("UPDATE jobs SET summary = 'x' WHERE key = 2", "row", "job #2: its summary"),
        ("UPDATE jobs SET status = 'merry' WHERE key = 2", "row", "job #2: its status"),
        ("UPDATE jobs SET done = 'much' WHERE key = 2", "row", "job #2: its done"),
        ("UPDATE events SET detail = '[' WHERE key = 2", "row", "row 2 of events, of job #2"),
        ("UPDATE artifacts SET summary = '3' WHERE key = 2", "row", "row 2 of artifacts"),
        ("UPDATE steps SET rows = 'low' WHERE job = 2", "row", "1 blocks of its steps are damaged"),
        ("UPDATE steps SET rows = x'00' WHERE job = 2", "row", "job #2: 1 blocks of its steps"),
        ("UPDATE steps SET last = 9 WHERE job = 2", "row", "job #2: 1 blocks of its steps"),
        ("UPDATE epochs SET gap = 'low' WHERE job = 2", "row", "of its epochs hold no number"),
        ("UPDATE artifacts SET path = 'gone' WHERE key = 2", "file", "its file gone is missing"),
        ("DELETE FROM jobs WHERE key = 2", "integrity", "rows of steps belong to no job"),
        ("DELETE FROM jobs WHERE key = 2", "orphan", "it belongs to no job"),
    ],
)
def test_what_is_wrong_is_named(file: Path, statements: str, check: str, sentence: str) -> None:
    run_sql(file, statements)
    age(*home().glob("runs/*"))
    report = examine()
    assert report.status == 1
    assert any(sentence in each for each in told(report, check)), report.findings


@pytest.mark.parametrize("table", ["steps", "events"])
def test_an_overwritten_page_is_found_and_the_rest_is_copied(
    file: Path, tmp_path: Path, table: str
) -> None:
    store = Store()
    for at in range(900):
        store.records.note(1, at, "curvature", values=[0.5] * 3)
    store.database.engine.dispose()
    with closing(sqlite3.connect(file)) as db:
        (before,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    damage(file, table)
    sums = {path: hashlib.sha256(path.read_bytes()).digest() for path in [file]}
    report = examine()
    assert report.status == 1
    assert told(report, "integrity")
    made = repair(tmp_path / "copy.db")
    assert any("cannot be read" in note or "is damaged" in note for note in made.notes)
    assert before - 150 < made.rows[table] < before
    assert made.rows["jobs"] == 3
    for path, digest in sums.items():
        assert hashlib.sha256(path.read_bytes()).digest() == digest
    copy = f"sqlite:///{tmp_path / 'copy.db'}"
    assert examine(copy).findings == []
    runs = Store(copy).all("train")
    assert [run.title for run in runs] == ["run 2", "run 1", "run 0"]
    assert Store(copy).records.steps(3)["step"][0] == 1


def test_a_copy_has_what_can_be_put_right(file: Path, tmp_path: Path) -> None:
    run_sql(
        file,
        "UPDATE jobs SET summary = 'x', tags = x'00', done = 'much' WHERE key = 2;"
        "UPDATE jobs SET config = '{\"a\": 1}' WHERE key = 3;"
        "UPDATE events SET detail = '[' WHERE job = 1;"
        "UPDATE artifacts SET path = 'gone' WHERE job = 1;"
        "UPDATE steps SET rows = 'low' WHERE job = 1;"
        "INSERT INTO jobs (key, id, name, config, status, message, created, claim)"
        " VALUES (9, 'gone', '', '{}', 'finished', '', 1, 0); DELETE FROM jobs WHERE key = 9",
    )
    made = repair(tmp_path / "copy.db")
    notes = "\n".join(made.notes)
    for part in ("job #2: put right: its tags, its done, its summary", "of events: left out"):
        assert part in notes
    assert "its file gone is missing" in notes
    store = Store(f"sqlite:///{tmp_path / 'copy.db'}")
    third, second, first = store.all()
    assert (second.status, second.title, second.tags) == ("finished", "run 1", ())
    assert second.last_epoch is not None
    assert second.last_epoch.epoch == 40
    assert third.status == "unreadable"
    assert store.records.events(first.key) == []
    assert store.records.artifacts(first.key) == []
    assert "job #1: 1 blocks of its steps left out." in notes
    assert len(store.records.steps(first.key)["loss"]) == 0
    assert len(store.records.steps(second.key)["loss"]) == 800
    assert store.get(store.create(TrainSettings())).key == 10  # a number is never used again


def test_a_copy_never_replaces_a_file(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("mine")
    with pytest.raises(ConfigError, match="already; choose another name"):
        repair(target)
    assert target.read_text() == "mine"
    with pytest.raises(ConfigError, match="already"):
        repair(file)


def test_nothing_to_read_is_one_sentence(samar_home: Path, tmp_path: Path) -> None:
    (home() / "samar.db").write_text("no database" * 99)
    assert examine().status == 2
    with pytest.raises(RunError, match=r"cannot be copied to .*copy\.db"):
        repair(tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["samar.db"]


def test_a_job_whose_process_is_gone(file: Path) -> None:
    here = socket.gethostname()
    run_sql(
        file, f"UPDATE jobs SET status = 'running', host = '{here}', pid = 4194305 WHERE key = 2"
    )
    report = examine()
    assert told(report, "process") == ["job #2: it is said to be running, but its process is gone"]


def test_parts_that_were_left_over_and_a_full_disk(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = job_dir(Store().all()[0].id) / ".weights.safetensors.part"
    left.write_bytes(b"half")
    assert told(examine(), "part") == []  # somebody may be writing it
    age(left)
    monkeypatch.setattr(examine_module, "LEAST_FREE", 2**60)
    report = examine()
    assert str(left) in told(report, "part")[0]
    assert "make room" in told(report, "disk")[0]


def test_what_begins_and_ends_meanwhile_is_no_finding(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_dir("branching").mkdir()  # its row is about to come
    going = job_dir("going")  # its row is gone, and it is about to go
    going.mkdir()
    age(going)
    (job_dir("branching") / ".renamed.part").symlink_to("gone")  # found, and then not there
    rows, scandir = examine_module._examine_file, os.scandir

    def read(report: Report, path: Path) -> list | None:
        found = rows(report, path)
        going.rmdir()
        job_dir("begun").mkdir()
        age(job_dir("begun"), job_dir("branching"))
        return found

    def look(path: str | Path) -> Any:
        if Path(path) == job_dir("begun"):
            raise FileNotFoundError(path)  # it is deleted just now
        return scandir(path)

    monkeypatch.setattr(examine_module, "_examine_file", read)
    monkeypatch.setattr(os, "scandir", look)
    assert examine().findings == []


def test_files_of_a_job_at_work_may_come_and_go(file: Path) -> None:
    run_sql(file, "UPDATE jobs SET status = 'running', host = 'far away' WHERE key = 2")
    for path in home().glob("runs/*/plane.npz"):
        path.unlink()
    assert [line.split(",")[1] for line in told(examine(), "file")] == [
        " of job #1: its file plane.npz is missing",
        " of job #3: its file plane.npz is missing",
    ]


def test_rows_of_files_on_a_disk_that_is_away_are_kept(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home() / "runs").rename(tmp_path / "away")
    report = examine()
    assert [finding.check for finding in report.findings] == ["folder"] * 3
    assert "job #1: the folder of its files is missing: " in told(report, "folder")[0]
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("Put the missing folders back")
    made = repair(tmp_path / "copy.db")
    assert (made.rows["artifacts"], made.notes) == (3, [])
    (tmp_path / "away").rename(home() / "runs")
    assert examine(f"sqlite:///{made.copy}").findings == []


def test_many_jobs_are_examined_one_by_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    known = examine_module.kinds()
    monkeypatch.setattr(examine_module, "kinds", lambda: calls.append(1) or known)
    assert examine().status == 0
    few = len(calls)
    for seed in range(12):
        Store().create(TrainSettings(seed=seed))
    calls.clear()
    assert examine().status == 0
    assert len(calls) <= 5 * few  # of five times as many jobs
