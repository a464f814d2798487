"""Damaged and foreign stores: each command ends with a sentence, never with a traceback.

Run: ``python -m tests.campaign.stores``
"""

import contextlib
import io
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

from samar.jobs.sql.schema import metadata
from tests.campaign.outcome import Outcome

SEED = 0
FLIPS, CUTS, PAGE = 600, 40, 4096
MOST_OF_A_GROUP = 4
"""So many of each kind of damage are tried in the short form."""
RUNS, STEPS = 12, 300
Damage = Callable[[Path], None]


def campaign(short: bool) -> Outcome:
    """Try the commands on every store.

    Args:
        short: fewer stores, in ten seconds.
    """
    outcome = Outcome("stores")
    began = time.perf_counter()
    emptied = patch("samar.jobs.sql.database.BIRTH_SECONDS", 0.05)
    with tempfile.TemporaryDirectory() as folder, _environment(), emptied:
        sound = Path(folder) / "sound"
        _make(sound)
        cases = list(_cases(sound / "samar.db", short))
        for number, (what, damage, empty) in enumerate(cases):
            home = Path(folder) / "home"
            shutil.copytree(sound, home)
            damage(home / "samar.db")
            _try(
                outcome,
                what,
                home,
                empty=empty,
                apart=number % 20 == 3 and not (short and number > 20),
            )
            shutil.rmtree(home)
        for variable, value in _places(sound):
            _try_place(outcome, variable, value)
        outcome.figures["stores"] = str(len(cases))
    outcome.figures["seconds"] = f"{time.perf_counter() - began:.0f}"
    return outcome


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    names = ("SAMAR_HOME", "SAMAR_STORE", "SAMAR_KINDS")
    before = {name: os.environ.pop(name, None) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _make(home: Path) -> None:
    """A store with a few runs that have ended, with all that a run leaves."""
    from samar.jobs.files import job_dir
    from samar.jobs.store import Store
    from samar.settings.command import json_line
    from samar.training.records import EpochRecord, StepRecord
    from samar.training.settings import TrainSettings

    os.environ["SAMAR_HOME"] = str(home)
    store = Store()
    for number in range(RUNS):
        store.create(TrainSettings(name=f"run {number}", seed=number))
        run = store.claim_next("long", limit=1)
        assert run is not None
        steps = [StepRecord(n, 1, 1 / n, 2 / n, 1, 1, 1, 2, 0.1, n, n) for n in range(1, STEPS + 1)]
        epoch = EpochRecord(1, STEPS, STEPS, 9.0, 0.5, 0.9, 100, 0.6, 0.8, 0.1)
        store.records.append(run.key, steps, [epoch])
        for at in range(20):
            store.records.note(run.key, at, "curvature", eigenvalues=[1.0, 0.5])
        store.records.note(run.key, 0, "started", device="cpu")
        job_dir(run.id).mkdir(parents=True)
        (job_dir(run.id) / "plane.npz").write_bytes(b"plane")
        store.records.add_artifact(run.key, "plane", 5, "plane.npz", {"loss": 0.5})
        store.beat(run, done=STEPS, total=STEPS, summary=json_line({"epoch": asdict(epoch)}))
        store.move(run, "finished")
    with store.database.engine.connect() as db:
        db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.database.engine.dispose()


def _cases(sound: Path, short: bool) -> Iterator[tuple[str, Damage, bool]]:
    """What is done to a store, how, and whether an empty list is right then."""
    chosen = random.Random(SEED)
    for group in _groups(sound.stat().st_size, chosen):
        yield from chosen.sample(group, min(len(group), MOST_OF_A_GROUP)) if short else group


def _groups(size: int, chosen: random.Random) -> Iterator[list[tuple[str, Damage, bool]]]:
    def case(what: str, damage: Callable[..., object], *arguments: Any) -> tuple[str, Damage, bool]:
        return what, lambda path: damage(path, *arguments), False

    yield [case("nothing", Path.exists)]
    flips = []
    for _ in range(FLIPS):
        start, length = chosen.randrange(size), chosen.choice((1, 1, 1, 4, 64, PAGE))
        flips.append(case(f"{length} bytes at {start}", _write, start, chosen.randbytes(length)))
    yield flips
    pages = range(1, size // PAGE)
    yield [case(f"page {n} of zeros", _write, n * PAGE, bytes(PAGE)) for n in pages]
    lengths = [
        *(PAGE * chosen.choice(pages) for _ in range(CUTS)),
        *chosen.sample(range(size), CUTS),
    ]
    yield [case(f"cut to {n} bytes", os.truncate, n) for n in lengths]
    yield [case(f"cut to {n} bytes", os.truncate, n) for n in (0, 1, 15, 16, 99, 100, 512, PAGE)]
    yield [case(f"no table {name}", _sql, f"DROP TABLE {name}") for name in metadata.tables]
    yield [
        case(f"no column {name}", _sql, f"ALTER TABLE jobs DROP COLUMN {name}")
        for name in ("message", "name", "config", "tags", "done")
    ]
    texts = ("'two'", "-1", "99", "x'00'", "1.5", "NULL")
    allowed = _free("schema_version")
    yield [
        *(
            case(f"version {text}", _sql, f"{allowed} UPDATE schema_version SET version = {text}")
            for text in texts
        ),
        case("no version", _sql, "DELETE FROM schema_version"),
    ]
    yield [
        case(
            f"{column} of a row is {value}",
            _sql,
            f"{_free('jobs')} UPDATE jobs SET {column} = {value}"
            + (" WHERE key = 3" if column == "id" else ""),
        )
        for column in metadata.tables["jobs"].c.keys()  # noqa: SIM118
        if column != "key"
        for value in ("NULL", "'text'", "x'ff00'", "-1e300", "'[1]'", "'{\"epoch\": {}}'", "''")
    ]
    summaries = ('{"epoch": 3}', '{"epoch": {"epoch": "a"}}', '{"members": 1}', "[" * 3000)
    yield [
        case(f"summary of a row is {text[:30]}", _sql, f"UPDATE jobs SET summary = '{text}'")
        for text in summaries
    ]
    yield [
        case(f"{column} of {name}", _sql, f"UPDATE {name} SET {column} = 'no'")
        for name, column in (("events", "detail"), ("artifacts", "summary"), ("steps", "rows"))
    ]
    tables = "CREATE TABLE schema_version (version); CREATE TABLE jobs (key, id)"
    foreign = [
        case("another's tables", _instead, lambda p: _sql(p, "CREATE TABLE notes (text)")),
        case("another's tables of the same names", _instead, lambda p: _sql(p, tables)),
        case("a folder", _instead, Path.mkdir),
        case("a text", _instead, lambda p: p.write_text("no database " * 999)),
        case("a picture", _instead, lambda p: p.write_bytes(b"\x89PNG" + bytes(9999))),
        case("a link to nowhere", _instead, lambda p: p.symlink_to("/no/where")),
    ]
    yield from ([each] for each in foreign)
    superuser = os.name == "posix" and not os.geteuid()
    yield [] if superuser else [case("no permission", Path.chmod, 0)]
    yield [("it is gone with its runs", lambda p: shutil.rmtree(p.parent), True)]


def _free(table: str) -> str:
    """Statements after which a table takes every value."""
    freed = f"UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = '{table}'"
    return f"PRAGMA writable_schema = ON; {freed}; PRAGMA writable_schema = RESET;"


def _write(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


def _sql(path: Path, statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(statements)


def _instead(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _try(outcome: Outcome, what: str, home: Path, *, empty: bool, apart: bool) -> None:
    """Every command on one store, perhaps one of them in a process of its own."""
    os.environ["SAMAR_HOME"] = str(home)
    before = _content(home / "samar.db")
    status, out = _called(outcome, what, ["doctor", "--json"], {0, 1, 2})
    if _content(home / "samar.db") != before:
        outcome.faults.append(f"{what}: doctor changed the store")
    healthy = status == 0
    if status is not None and not out.startswith("samar: "):
        json.loads(out)
    if what == "nothing" and not healthy:
        outcome.faults.append(f"{what}: doctor says {out[:200]}")
    for words in (["runs"], ["show", "3"]):
        # One row that cannot be read spoils no list.
        right = {0} if words == ["runs"] and " of a row is " in what else {0, 2}
        _, out = _called(outcome, what, words, right)
        silent = words == ["runs"] and "No runs yet" in out and "cannot be read" not in out
        if silent and not empty:
            outcome.faults.append(f"{what}: runs is empty and says nothing")
    if apart:
        outcome.tried += 1
        ended = subprocess.run(
            [sys.executable, "-m", "samar", "runs"], capture_output=True, text=True, check=False
        )
        if ended.returncode not in (0, 2) or "Traceback" in ended.stderr:
            outcome.faults.append(f"{what}: a process ended so: {ended.stderr[-300:]}")


def _places(sound: Path) -> list[tuple[str, str]]:
    """Addresses at which no store can be."""
    urls = ("garbage", "sqlite:///~nouser/x.db", "oracle+nothing://x", "mysql+nodriver://a/b")
    more = ("postgresql://host:port/db", f"sqlite:///{sound}", "sqlite:////dev/null/x.db", "://")
    homes = ("~nouser/x", "/dev/null/x", str(sound / "samar.db"), "/proc/nothing")
    stores = [("SAMAR_STORE", url) for url in (*urls, *more)]
    return [*stores, *(("SAMAR_HOME", home) for home in homes)]


def _try_place(outcome: Outcome, variable: str, value: str) -> None:
    with _environment():
        os.environ[variable] = value
        for words in (["runs"], ["show", "3"], ["doctor"]):
            _called(outcome, f"{variable}={value}", words, {1, 2} if words == ["doctor"] else {2})


def _called(
    outcome: Outcome, what: str, words: list[str], allowed: set[int]
) -> tuple[int | None, str]:
    """Exit status and all that a command printed."""
    from samar.cli import main

    outcome.tried += 1
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = main(words)
    except BaseException as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        outcome.faults.append(
            f"{what}: {' '.join(words)} raised {type(error).__name__}: {error} "
            f"({Path(at.filename).name}:{at.lineno})"
        )
        return None, ""
    text = out.getvalue()
    if status not in allowed:
        outcome.faults.append(f"{what}: {' '.join(words)} ended with {status}: {text[:200]}")
    if status == 2 and "doctor" not in words and (text.count("\n") != 1 or "samar: " not in text):
        outcome.faults.append(f"{what}: {' '.join(words)} is not one sentence: {text[:300]}")
    return status, text


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


if __name__ == "__main__":
    found = campaign("--short" in sys.argv)
    print(f"{found.part}: {found.tried} tried, {len(found.faults)} faults, {found.figures}")
    print("\n".join(found.faults))
