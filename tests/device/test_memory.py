"""Memory: bounded whatever the amount of work, forecast before it starts, refused in a sentence."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from samar.data.presence import counted
from samar.device import memory
from samar.device.catalog import in_words
from samar.jobs.kind import kinds
from samar.jobs.service import Jobs
from samar.kinds.race import RaceSettings
from samar.networks.memory import images_of, training_bytes
from samar.training.settings import TrainSettings
from tests.benchmarks.memory import forecast, resident

MEGABYTE = 1e6
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
KEEP_NO_GRAPHS = "from samar.curvature import product; product.KEPT_BYTES = 0"


@linux
@pytest.mark.parametrize(("task", "few", "many"), [("landscape", 5, 9), ("hessian", 64, 384)])
def test_peak_memory_grows_with_neither_points_nor_batches(task: str, few: int, many: int) -> None:
    """The graphs of the five further batches alone would take over 200 MB."""
    used = resident(task, "resnet20", 16, few, many, first=KEEP_NO_GRAPHS)
    assert used[1] - used[0] < 60 * MEGABYTE, used


@linux
@pytest.mark.parametrize(("task", "amount"), [("train", 128), ("landscape", 5), ("hessian", 128)])
def test_the_forecast_is_about_what_a_process_takes(task: str, amount: int) -> None:
    base, used = resident(task, "cnn", 32, 0, amount)
    assert 0.6 < forecast(task, "cnn", 32, amount) / (used - base) < 1.8


def test_what_does_not_fit_by_far_is_refused_before_it_begins(
    inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainSettings(images_per_class=13, epochs=1, film_every=0, curvature_every=0)
    needed = training_bytes(settings)
    jobs = Jobs()
    monkeypatch.setattr(memory, "free_bytes", lambda device: needed // 3)
    refused = jobs.get(jobs.submit(settings))
    assert refused.status == "failed"
    assert refused.message == (
        f"This takes about {in_words(needed)} of memory, and {in_words(needed // 3)} are free on "
        "cpu; choose a smaller batch, fewer images, fewer eigenvalues or a smaller network."
    )
    monkeypatch.setattr(memory, "free_bytes", lambda device: needed)
    done = jobs.get(jobs.submit(settings))
    assert done.status == "finished"
    assert done.summary["memory"] == needed


def test_it_is_said_before_the_start(samar_home: None) -> None:
    jobs = Jobs()
    settings = TrainSettings(model="wrn-28-10", dataset="cifar10", optimizer="sam")
    needed = training_bytes(settings)
    assert 5e9 < needed < 6e9
    assert jobs.needs(settings) == f"Takes about {in_words(needed)} of memory."
    race = kinds()["race"].memory
    assert race is not None
    both = RaceSettings(optimizers="sam,sgd", model="wrn-28-10", dataset="cifar10")
    assert 1.9 * needed < (race(jobs.store, both) or 0) < 2 * needed
    larger = settings.changed(batch_size=1024)
    assert training_bytes(larger) > 3 * needed


def test_halved_images_take_less(recorded: Callable[..., Any]) -> None:
    settings = TrainSettings(model="wrn-28-10", dataset="cifar10", curvature_every=0, film_every=0)
    whole, halved = (training_bytes(settings.changed(halved=each)) for each in (False, True))
    assert halved < 0.6 * whole
    jobs = Jobs()
    for kind in ("landscape", "curvature", "evaluate"):
        forecast = kinds()[kind].memory
        assert forecast is not None
        needed = {}
        for each in (False, True):
            run = recorded(model="resnet20", dataset="cifar10", halved=each, weights=True)
            asked = kinds()[kind].settings.parse({"network": run.id, "images": 64})
            needed[each] = (forecast(jobs.store, asked) or 0) - images_of("cifar10")
        assert 0 < needed[True] < 0.7 * needed[False], kind


@pytest.mark.parametrize("kind", ["landscape", "curvature", "connectivity"])
def test_no_more_images_are_counted_than_there_are(
    recorded: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    for part, count in (("train", 3), ("test", 5)):
        for name in ("a/inner", "b"):
            folder = tmp_path / "images" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.png").touch()
            (folder / "notes.txt").touch()
    jobs, few = Jobs(), f"folder:{tmp_path / 'images'}"
    assert [counted(few).at_most(99, split) for split in ("train", "test")] == [6, 10]
    assert (counted(few).classes, images_of(few)) == (2, 16 * 3 * 32**2)

    def needed(images: int, **settings: Any) -> str:
        asked = {"network": "one", "images": images, "split": "train", **settings}
        if kind == "connectivity":
            asked |= {"other": "one", "curve": "line"}
        return jobs.needs(kinds()[kind].settings.parse(asked))

    for data, images, split in (
        ({"dataset": few}, 10, "test"),
        ({"dataset": "digits"}, 797, "test"),
        ({"images_per_class": 20, "validation": 0.25}, 150, "train"),
    ):
        run = recorded(name="one", weights=True, **data)
        if kind == "connectivity":  # whose copies of both splits are counted alike
            images = max(images, {10: 10, 797: 1000, 150: 797}[images])
        assert needed(1_000_000, split=split) == needed(images, split=split)
        assert needed(1_000_000, split=split) != needed(images // 2, split=split)
        jobs.store.delete(run.id)


def test_errors_of_memory_by_any_name() -> None:
    said = [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        MemoryError(),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 4000000000000 bytes."
        ),
    ]
    assert all(memory.is_out_of_memory(error) for error in said)
    for other in (RuntimeError("CUDNN_STATUS_EXECUTION_FAILED"), ValueError("out of memory")):
        assert not memory.is_out_of_memory(other)
    with pytest.raises(RuntimeError, match="allocate") as error:
        torch.empty(2**50)
    assert memory.is_out_of_memory(error.value)


def test_halving_ends() -> None:
    tried: list[int] = []

    def attempt(size: int) -> str:
        tried.append(size)
        if size > 5:
            raise torch.OutOfMemoryError
        return "done"

    assert memory.halving(attempt, 64) == ("done", 4)
    assert tried == [64, 32, 16, 8, 4]
    with pytest.raises(torch.OutOfMemoryError):
        memory.halving(attempt, 64, least=6)
    with pytest.raises(ZeroDivisionError):
        memory.halving(lambda size: 1 // 0, 64)
