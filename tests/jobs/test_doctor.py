"""The health check: what it finds in a store, and in the files beside it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from samar.cli import main
from samar.home import home
from samar.jobs import doctor
from samar.jobs.doctor import Report, examine
from samar.jobs.job import job_dir
from samar.jobs.store import Store


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


def told(report: Report, check: str) -> list[str]:
    return [str(finding) for finding in report.findings if finding.check == check]


def test_a_sound_store_is_healthy(file: Path) -> None:
    report = examine()
    assert report.findings == []
    assert (report.status, report.jobs) == (0, 3)


def test_a_home_with_nothing_is_healthy_and_stays_so(samar_home: Path) -> None:
    assert examine().status == 0
    assert list(samar_home.iterdir()) == []


@pytest.mark.parametrize(
    ("statements", "check", "sentence"),
    [
        ("UPDATE jobs SET config = '{\"a\": 1}' WHERE key = 2", "row", "no setting called 'a'"),
        ("UPDATE jobs SET kind = 'unknown' WHERE key = 2", "row", "no kind of job called"),
        ("UPDATE artifacts SET path = 'gone' WHERE key = 2", "file", "its file gone is missing"),
        ("DELETE FROM jobs WHERE key = 2", "orphan", "it belongs to no job"),
    ],
)
def test_what_is_wrong_is_named(file: Path, statements: str, check: str, sentence: str) -> None:
    run_sql(file, f"PRAGMA foreign_keys = ON; {statements}")
    report = examine()
    assert report.status == 1
    (line,) = told(report, check)
    assert sentence in line


def test_an_overwritten_page_names_what_sqlite_has_for_it(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(file)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'steps'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as content:
        content.seek((root - 1) * size)
        content.write(b"\xff" * size)
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("samar.db .recover | sqlite3 copy.db")


def test_files_of_a_job_at_work_may_come_and_go(file: Path) -> None:
    run_sql(file, "UPDATE jobs SET status = 'running', host = 'far away' WHERE key = 2")
    for path in home().glob("runs/*/plane.npz"):
        path.unlink()
    assert told(examine(), "file") == [
        f"job #{key}: its file plane.npz is missing" for key in (1, 3)
    ]


def test_files_on_a_disk_that_is_away_and_a_full_disk(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home() / "runs").rename(tmp_path / "away")
    monkeypatch.setattr(doctor, "LEAST_FREE", 2**60)
    report = examine()
    assert [finding.check for finding in report.findings] == ["folder"] * 3 + ["disk"]
    assert "make room" in told(report, "disk")[0]
