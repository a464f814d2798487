"""Stores that cannot be opened, or are damaged where it shows only later."""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from samar.errors import ConfigError, RunError
from samar.home import home
from samar.jobs.sql.database import StoreBusy
from samar.jobs.store import Store
from samar.training.settings import TrainSettings


@pytest.fixture
def file(store: Store, step) -> Path:
    """A store with a run of many steps, closed."""
    store.create(TrainSettings(name="first"))
    run = store.claim_next("long", limit=1)
    assert run is not None
    store.records.append(run.key, [step(n) for n in range(1, 2001)])
    with store.database.engine.connect() as db:
        db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.database.engine.dispose()
    return home() / "samar.db"


def run_sql(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(statements)


def refused(match: str) -> str:
    with pytest.raises(RunError, match=match) as caught:
        Store()
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_locked_store_can_be_told_from_a_damaged_one(file: Path) -> None:
    store = Store()
    with store.database.read() as db:
        db.exec_driver_sql("PRAGMA busy_timeout=1")
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError) as caught:
            store.create(TrainSettings())
        assert isinstance(caught.value, StoreBusy)
        assert isinstance(caught.value, RunError)
        assert "database is locked" in str(caught.value)
        assert "database is locked" in str(caught.value.orig)
        other.rollback()
    assert store.create(TrainSettings())


def test_another_programs_file_is_refused_and_stays_as_it_is(samar_home: Path) -> None:
    path = samar_home / "samar.db"
    run_sql(path, "CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')")
    tables = "SELECT name, sql FROM sqlite_master"
    with closing(sqlite3.connect(path)) as db:
        before = db.execute(tables).fetchall()
    refused("without the tables of a store")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute(tables).fetchall() == before


def test_many_open_a_new_store_at_once(samar_home: Path) -> None:
    found: list[object] = []
    barrier = threading.Barrier(6)

    def make() -> None:
        barrier.wait()
        try:
            found.append(Store().create(TrainSettings()))
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(each, str) for each in found), found
    assert len(Store().all()) == 6


@pytest.mark.parametrize(
    "url",
    [
        *("garbage", "://", "oracle+nothing://x", "mysql+nodriver://a/b"),
        *("postgresql://host:port/db", "sqlite:////dev/null/x/samar.db"),
    ],
)
def test_a_store_at_no_place_is_one_sentence(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("SAMAR_STORE", url)
    assert url in refused("cannot be opened")


def test_a_password_is_not_shown(samar_home: Path) -> None:
    with pytest.raises(RunError) as caught:
        Store("mysql+nodriver://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_an_unknown_user_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAMAR_STORE", raising=False)
    monkeypatch.setenv("SAMAR_HOME", "~nouser/x")
    with pytest.raises(ConfigError, match="'~nouser/x', but there is no such user"):
        Store()
    with pytest.raises(ConfigError, match="no such user"):
        Store("sqlite:///~nouser/x.db")


def test_the_path_of_a_store_may_begin_with_the_users_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Store("sqlite:///~/mine.db")
    assert (tmp_path / "mine.db").is_file()


@pytest.mark.skipif(not hasattr(os, "geteuid") or not os.geteuid(), reason="root may do all")
def test_no_permission_is_one_sentence(file: Path) -> None:
    file.chmod(0)
    refused("cannot be opened")


@pytest.mark.parametrize("table", ["jobs", "runs"])  # version 0.1 had runs, and no jobs
def test_a_store_of_another_version_is_one_sentence(samar_home: Path, table: str) -> None:
    run_sql(
        home() / "samar.db",
        f"CREATE TABLE {table} (key INTEGER); CREATE TABLE schema_version (version INTEGER);"
        "INSERT INTO schema_version VALUES (1)",
    )
    refused("a store of version 1, and this samar reads version 6 alone; .* another folder")
