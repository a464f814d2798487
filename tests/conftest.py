"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
import torch

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


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture
def samar_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for runs; worker processes started by the test inherit it."""
    monkeypatch.setenv("SAMAR_HOME", str(tmp_path))
    monkeypatch.delenv("SAMAR_STORE", raising=False)
    monkeypatch.delenv("SAMAR_MAX_RUNS", raising=False)
    return tmp_path
