"""Memory: bounded whatever the amount of work, and refused in a sentence where it does not fit."""

import sys

import pytest
import torch

from samar.device import memory
from samar.device.catalog import in_words
from samar.jobs.service import Jobs
from samar.models.catalog import model_info
from samar.training.settings import TrainSettings
from tests.benchmarks.memory import resident

MEGABYTE = 1e6
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
KEEP_NO_GRAPHS = "from samar.curvature import product; product.KEPT_BYTES = 0"


@linux
@pytest.mark.parametrize(("task", "few", "many"), [("landscape", 5, 9), ("hessian", 64, 384)])
def test_peak_memory_grows_with_neither_points_nor_batches(task: str, few: int, many: int) -> None:
    """The graphs of the five further batches alone would take over 200 MB."""
    used = resident(task, "resnet20", 16, few, many, first=KEEP_NO_GRAPHS)
    assert used[1] - used[0] < 60 * MEGABYTE, used


def test_an_estimate_is_about_what_a_run_takes() -> None:
    wide = model_info("wrn-28-10")
    needed = wide.bytes_at(32, copies=4, batch=128)
    assert 2e9 < needed < 4e9
    assert wide.bytes_at(32, copies=4, batch=1024) > 3 * needed
    assert wide.bytes_at(16, copies=4, batch=128) < 0.6 * needed


def test_a_run_that_does_not_fit_by_far_is_refused_before_it_begins(
    inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainSettings(images_per_class=13, epochs=1)
    needed = model_info(settings.model).bytes_at(8, copies=5, batch=128)
    jobs = Jobs()
    monkeypatch.setattr(memory, "free_bytes", lambda device: needed // 3)
    refused = jobs.get(jobs.submit(settings))
    assert refused.status == "failed"
    assert refused.message == (
        f"This takes about {in_words(needed)} of memory, and {in_words(needed // 3)} are free on "
        "cpu; choose a smaller batch or a smaller network."
    )
    monkeypatch.setattr(memory, "free_bytes", lambda device: needed)
    assert jobs.get(jobs.submit(settings)).status == "finished"


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
