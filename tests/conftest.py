"""Fixtures shared by all tests."""

import atexit
import math
import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# Tests train tiny things, which a second thread slows down; and a process that a test starts must
# add its numbers up in the order of the test's own.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Pages of tests keep no process warm; the tests of the spare process ask for one.
os.environ.setdefault("SAMAR_SPARE", "0")
# Nor are their runs observed, unless a test asks for it.
os.environ.setdefault("SAMAR_PACE", "off")
# A test that names no home of its own must not come near the user's.
os.environ["SAMAR_HOME"] = tempfile.mkdtemp(prefix="samar-tests-")

import torch

atexit.register(shutil.rmtree, os.environ["SAMAR_HOME"], ignore_errors=True)
SHARED = Path(os.environ.get("SAMAR_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real CIFAR images and public checkpoints used for development."""
    if not SHARED.is_dir():
        message = f"the development data folder {SHARED} is absent (set SAMAR_SHARED_DATA)"
        if os.environ.get("SAMAR_REQUIRE_SHARED_DATA"):
            pytest.fail(message)
        pytest.skip(message)
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _quick_workers() -> None:
    from tests.forked import fork_workers

    fork_workers()


@pytest.fixture(scope="session", autouse=True)
def _components_looked_for_once() -> Iterator[None]:
    """Each AppTest would go through the metadata of every package that is installed."""
    from streamlit.components.v2 import manifest_scanner

    known = cache(manifest_scanner.scan_component_manifests)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", known)
        yield


@pytest.fixture(autouse=True)
def _own_main() -> Iterator[None]:
    """A page that a test runs takes the place of the main module, which new processes run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


SQLITE, POSTGRESQL = "sqlite", "postgresql"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that a module names in ``BOTH_STORES``, or all of it, run over either database."""
    both = getattr(metafunc.module, "BOTH_STORES", False)
    named = both is True or (both and metafunc.function.__name__ in both)
    if named and "samar_home" in metafunc.fixturenames:
        metafunc.parametrize("samar_home", [SQLITE, POSTGRESQL], indirect=True)


REHEARSED = bool(os.environ.get("SAMAR_REHEARSE_GPU"))
"""Tests marked cuda run on the CPU then, for tests/benchmarks/gpu_day.py."""


@pytest.fixture
def gpu() -> torch.device:
    """The device of a test that is marked cuda."""
    return torch.device("cpu" if REHEARSED else "cuda")


@pytest.fixture
def never_waiting(gpu: torch.device) -> Callable[[], Any]:
    """``with never_waiting():`` whatever waits for the GPU raises."""

    @contextmanager
    def block() -> Iterator[None]:
        if gpu.type != "cuda":
            yield
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is a prototype
                torch.cuda.set_sync_debug_mode("error")
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return block


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("shared") and not item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.stage2)
    if not torch.cuda.is_available() and not REHEARSED:
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server; ``postgres.fresh()`` is the URL of a new database."""
    from tests.postgres import postgres, program

    if program("initdb") is None:
        message = "PostgreSQL is absent: apt-get install postgresql"
        if os.environ.get("SAMAR_REQUIRE_POSTGRESQL"):
            pytest.fail(message)
        pytest.skip(message)
    with postgres() as server:
        yield server


@pytest.fixture
def samar_home(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An empty home for runs; worker processes started by the test inherit it.

    With the parameter ``postgresql`` the store is in an empty database of that server.
    """
    monkeypatch.setenv("SAMAR_HOME", str(tmp_path))
    monkeypatch.delenv("SAMAR_STORE", raising=False)
    monkeypatch.delenv("SAMAR_MAX_RUNS", raising=False)
    if getattr(request, "param", SQLITE) != SQLITE:
        monkeypatch.setenv("SAMAR_STORE", request.getfixturevalue("postgres").fresh())
    if (pages := sys.modules.get("samar.web.service")) is not None:
        pages.service.clear()  # of another test's home
    return tmp_path


@pytest.fixture
def jobs(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The service over an empty store; the processes that it starts end with the test."""
    import psutil

    from samar.jobs.service import Jobs

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    service = Jobs()
    yield service
    for job in service.store.all():
        if job.pid and job.pid != os.getpid() and psutil.pid_exists(job.pid):
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(job.pid, signal.SIGKILL)


@pytest.fixture
def inline(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever schedules a job does it at once, in the process of the test."""
    from samar.jobs.engine.worker import run

    monkeypatch.setattr("samar.jobs.engine.local._start", run)


@pytest.fixture
def recorded(samar_home: Path) -> Callable[..., Any]:
    """``recorded(rho=0.1, …)`` puts an ended run with made-up records into the default store."""
    from dataclasses import asdict

    from samar.jobs.job import weights_path
    from samar.jobs.store import Store
    from samar.jobs.training_records import EpochRecord, StepRecord
    from samar.models.build import build_model
    from samar.networks.checkpoint import save_weights
    from samar.settings.command import json_line
    from samar.training.settings import TrainSettings

    store = Store()

    def make(
        *,
        done: int = 3,
        per_epoch: int = 4,
        accuracy: float = 0.9,
        status: str = "finished",
        weights: bool = False,
        **settings: Any,
    ) -> Any:
        config = TrainSettings.parse({"optimizer": "sgd", **settings})
        store.create(config)
        run = store.claim_next("long", limit=10_000)
        assert run is not None
        nan, two = math.nan, 1 if config.optimizer == "sgd" else 2
        steps, epochs = [], []
        for k in range(1, done * per_epoch + 1):
            sharp = nan if config.optimizer == "sgd" else 0.1 / k
            ratio, lam = (nan, nan) if config.optimizer != "samar" else (1 + 1 / k, 1 / 3)
            steps.append(
                StepRecord(
                    step=k,
                    epoch=(k - 1) // per_epoch + 1,
                    loss=(2 + config.seed) / k,
                    perturbed_loss=nan,
                    sharpness=sharp,
                    ratio=ratio,
                    lam=lam,
                    grad_norm=math.pi / k,
                    lr=config.lr,
                    grad_evals=two * k,
                    seconds=0.1 * k * (1 + 0.01 * config.seed),
                )
            )
        for n in range(1, done + 1):
            test, k = accuracy * n / done, n * per_epoch
            figures = (1 / n, test + 0.05, 100, 2 / n, test, 0.05)
            epochs.append(EpochRecord(n, k, two * k, steps[k - 1].seconds, *figures))
        store.records.append(run.key, steps, epochs)
        store.records.note(run.key, 0, "started", device="cpu", data="0" * 64)
        if weights:
            torch.manual_seed(config.seed)
            network = build_model("cnn", classes=10, channels=1)
            save_weights(network, weights_path(run.id), {"model": "cnn"})
            store.records.add_artifact(run.key, "weights", len(steps), "weights.safetensors")
        store.beat(
            run,
            done=len(steps),
            total=len(steps),
            device="cpu",
            summary=json_line({"epoch": asdict(epochs[-1])} if epochs else {}),
        )
        assert store.move(run, status)
        return store.get(run.id)

    return make
