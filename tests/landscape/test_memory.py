"""Peak memory grows with neither the points of a grid nor the number of batches."""

import pytest

from tests.benchmarks.memory import peak


@pytest.mark.parametrize(("task", "few", "many"), [("landscape", 5, 9), ("hessian", 64, 384)])
def test_peak_memory_does_not_grow(task: str, few: int, many: int) -> None:
    """The graphs of the five further batches alone would take over 200 MiB."""
    used = [peak(task, "resnet20", 16, amount) for amount in (few, many)]
    assert used[1] - used[0] < 60, used
