from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from samar.errors import ConfigError, DataError
from samar.exchange.tensorboard import write_tensorboard
from samar.jobs.job import Job
from samar.jobs.store import Store


def test_every_record_is_read_back(recorded: Callable[..., Job], tmp_path: Path) -> None:
    run = recorded(optimizer="samar", name="<script>x</script>")
    store = Store()
    looked = {"values": [3.5, 2.0, 1.0], "trace": 7.5}
    store.records.note(run.key, 8, "curvature", **looked)
    folder = write_tensorboard(store, run, tmp_path)
    assert folder == tmp_path / f"samar-{run.id}"
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()

    def read(tag: str) -> tuple[list[int], list[float], list[float]]:
        found = events.Scalars(tag)
        return (
            [each.step for each in found],
            [each.value for each in found],
            [each.wall_time for each in found],
        )

    steps, epochs = store.records.steps(run.key), store.records.epochs(run.key)
    at, values, times = read("step/loss")
    assert at == steps["step"].tolist()
    assert values == pytest.approx(steps["loss"].astype(np.float32))
    assert np.diff(times) == pytest.approx(np.diff(steps["seconds"]), abs=1e-5)
    assert read("step/lambda")[1] == pytest.approx([1 / 3] * 12)
    at, values, _ = read("accuracy/test")
    assert at == epochs["step"].tolist()
    assert values == pytest.approx(epochs["test_accuracy"].astype(np.float32))
    assert read("hessian/lambda_max")[:2] == ([8], [3.5])
    assert "step/perturbed_loss" not in events.Tags()["scalars"]  # all NaN
    assert "manifest/text_summary" in events.Tags()["tensors"]
    with pytest.raises(DataError, match="exists already"):
        write_tensorboard(store, run, tmp_path)


def test_without_the_package_a_sentence_says_how(
    recorded: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.exchange.tensorboard.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        write_tensorboard(Store(), recorded(), tmp_path)
