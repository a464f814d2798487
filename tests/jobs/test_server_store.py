"""A store on a server, with the files in a folder that machines share."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samar.cli import main
from samar.errors import RunError
from samar.jobs import store as store_module
from samar.jobs.job import job_dir
from samar.jobs.service import Jobs
from samar.jobs.sql.database import store_url
from samar.jobs.store import Store
from samar.jobs.summary import where
from samar.training.settings import TrainSettings
from tests.sameness import difference


@pytest.fixture
def server(postgres: Any, samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = str(postgres.fresh())
    monkeypatch.setenv("SAMAR_STORE", url)
    return url


def test_a_run_equals_one_in_a_file(
    server: str, inline: None, samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN, whole numbers and fractions come back as they went, and the files lie where told."""
    shared = samar_home / "shared"
    monkeypatch.setenv("SAMAR_ARTIFACTS", str(shared))
    settings = TrainSettings(images_per_class=13, device="cpu", epochs=2)
    jobs = Jobs()
    run = jobs.get(jobs.submit(settings))
    assert (run.status, job_dir(run.id).parent) == ("finished", shared)
    assert not (samar_home / "runs").exists()
    monkeypatch.delenv("SAMAR_STORE")
    alone = Jobs()
    other = alone.get(alone.submit(settings))
    for read in ("steps", "epochs"):
        ours, theirs = (
            getattr(each.store.records, read)(job.key)
            for each, job in ((jobs, run), (alone, other))
        )
        for name in set(theirs) - {"seconds"}:
            assert ours[name].dtype == theirs[name].dtype
            np.testing.assert_array_equal(ours[name], theirs[name])
    again = jobs.get(jobs.submit(settings, anew=True))
    assert difference(jobs, run, again) == ""


def test_clocks_of_two_machines_may_differ(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life bear the server's time, whoever looks."""
    store = Store()
    job_id, now = store.create(TrainSettings()), time.time()
    monkeypatch.setattr(store_module.time, "time", lambda: now - 25)
    run = store.claim(job_id)
    assert run is not None
    monkeypatch.setattr(store_module.socket, "gethostname", lambda: "another machine")
    store.mark_interrupted()
    assert store.get(job_id).status == "running"
    store.beat(run)
    store.mark_interrupted()
    monkeypatch.setattr(store_module.time, "time", lambda: now + 25)
    store.mark_interrupted()
    assert store.get(job_id).status == "running"


def test_doctor_and_the_lists(
    server: str,
    recorded: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = recorded(weights=True)
    assert main(["doctor"]) == 0
    assert "is healthy" in capsys.readouterr().out
    assert main(["runs"]) == 0
    assert "where" not in capsys.readouterr().out
    assert where(run) == ""
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert where(run).endswith("(cpu)")
    assert main(["runs"]) == 0
    assert "where" in capsys.readouterr().out
    (job_dir(run.id) / "weights.safetensors").unlink()
    assert main(["doctor"]) == 1
    assert "weights.safetensors is missing" in capsys.readouterr().out


def test_a_password_is_never_shown(server: str) -> None:
    url = server.replace("samar@", "samar:secret@")
    assert Store(url).database.name.count("***") == 1
    wrong = url.rpartition("/")[0] + "/nothing"
    with pytest.raises(RunError, match="cannot be opened") as found:
        Store(wrong)
    assert "secret" not in str(found.value)
    assert "\n" not in str(found.value)


def test_its_driver_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RunError, match=r"needs the package psycopg; install it: pip install -r"):
        Store("postgresql://samar@127.0.0.1:1/samar")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_the_url(scheme: str) -> None:
    assert store_url(f"{scheme}://a@b/c").drivername == "postgresql+psycopg"


def test_a_folder_of_nobody_is_a_sentence(
    samar_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAMAR_ARTIFACTS", "~nouser/x")
    assert main(["train", "--epochs", "1"]) == 2
    assert "SAMAR_ARTIFACTS is '~nouser/x', but there is no such user" in capsys.readouterr().err
