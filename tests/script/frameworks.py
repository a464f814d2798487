"""Frameworks that samar does not need by itself, and what a watched run left in the store."""

import os
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from samar.jobs.records import CURVATURE, PLANE
from samar.jobs.service import Jobs
from samar.jobs.store import Store

os.environ["HF_HUB_OFFLINE"] = "1"


def need(name: str) -> Any:
    """Import a framework, or skip the module of tests; where everything must be tested, fail."""
    package = name.partition(".")[0]
    if find_spec(package) is None and not os.environ.get("SAMAR_REQUIRE_FRAMEWORKS"):
        pytest.skip(f"the package {package} is absent", allow_module_level=True)
    return import_module(name)


class Ended:
    """The only run in the store, which has ended."""

    def __init__(self) -> None:
        store = Store()
        (self.job,) = store.all()
        self.steps = store.records.steps(self.job.key)
        self.epochs = store.records.epochs(self.job.key)
        events = store.records.events(self.job.key)
        self.landscapes = sorted({event.step for event in events if event.kind == PLANE})


def state(network: nn.Module) -> dict[str, Tensor]:
    """A copy of everything that training moves."""
    return {name: value.clone() for name, value in network.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Bit for bit."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def stop(run: Any) -> None:
    """Ask a watched run to stop, and wait until it knows."""
    Jobs().stop(run.id)
    until(lambda: run.stopping)


def wait_for_observer(run: Any) -> None:
    """Wait until the first weights of a watched run are measured."""
    store = Store()
    key = store.get(run.id).key
    until(lambda: any(event.kind == CURVATURE for event in store.records.events(key)))


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
