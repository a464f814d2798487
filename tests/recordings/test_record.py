"""Making recordings: a watched run takes the same steps, and what is counted is what happened."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from samar.cli import main
from samar.data.dataset import Dataset
from samar.errors import ConfigError
from samar.recordings.catalog import Recording
from samar.recordings.noisy import right_labels
from samar.recordings.protocols import PROTOCOLS, make
from samar.recordings.record import Watch, learned, record_run
from samar.recordings.small import _rescale, network
from samar.training.loop import dataset_of, train
from samar.training.records import EpochRecord, StepRecord
from samar.training.settings import TrainSettings


def test_a_watched_run_takes_the_steps_of_a_plain_one() -> None:
    config = TrainSettings(epochs=2, images_per_class=20, label_noise=0.4)
    plain = list(train(config))
    watch = Watch(looks_every=1, film_every=1, film_points=5, labels=right_labels(config))
    run, _ = record_run(config, watch, lambda text: None)
    steps = [record for record in plain if isinstance(record, StepRecord)]
    epochs = [record for record in plain if isinstance(record, EpochRecord)]
    for name in ("loss", "sharpness", "lam", "grad_norm"):
        np.testing.assert_array_equal(run.steps[name], [getattr(s, name) for s in steps])
    np.testing.assert_array_equal(run.epochs["test_loss"], [e.test_loss for e in epochs])
    assert run.looks["values"].shape == (2, 3)
    assert (run.looks["residuals"] < 0.05 * run.looks["values"][:, :1]).all()
    assert run.film is not None
    assert run.film.loss.shape == (3, 5, 5)
    assert run.film.steps.tolist() == [0, *run.epochs["step"]]


def test_a_change_is_made_before_its_step() -> None:
    config = TrainSettings(epochs=2, images_per_class=20, schedule="constant", optimizer="sgd")
    run, trainer = record_run(config, Watch(changes=[(3, {"lr": 0.5})]), lambda text: None)
    lr = run.steps["lr"]
    np.testing.assert_allclose(lr, [0.05] * 3 + [0.5] * (trainer.total_steps - 3))
    assert run.changes == ((3, {"lr": 0.5}),)


def test_wrong_labels_learned_by_heart_are_counted() -> None:
    config = TrainSettings(images_per_class=20, label_noise=0.4)
    data, right = dataset_of(config), right_labels(config)
    wrong = data.train.labels != right
    assert int(wrong.sum()) == data.wrong_labels

    def answering(labels: torch.Tensor) -> tuple[float, float]:
        return learned(_Oracle(data, labels), data, right)

    assert answering(data.train.labels) == (1.0, 0.0)
    assert answering(right) == (0.0, 1.0)
    half = data.train.labels.clone()
    chosen = torch.nonzero(wrong).flatten()[::2]
    half[chosen] = right[chosen]
    memorized, recovered = answering(half)
    assert memorized + recovered == pytest.approx(1)
    assert recovered == pytest.approx(len(chosen) / int(wrong.sum()))


class _Oracle(torch.nn.Module):
    """Answers the training images, in order, with given labels."""

    def __init__(self, data: Dataset, labels: torch.Tensor) -> None:
        super().__init__()
        self.answers = torch.nn.functional.one_hot(labels, len(data.classes)).float()
        self.seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return self.answers[self.seen - len(images) : self.seen]


def test_rescaling_leaves_the_function_alone() -> None:
    model = network(3).double()
    x = torch.randn(7, 1, 8, 8, dtype=torch.float64)
    before = model(x)
    weights = model[1].weight.clone()
    _rescale(model, 3.7)
    torch.testing.assert_close(model(x), before, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model[1].weight, 3.7 * weights)


def test_an_unknown_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no recording 'nothing'; choose among"):
        make(["nothing"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_makes_what_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def small(say: Callable[[str], None]) -> Recording:
        """A small one."""
        return Recording("rate", {"about": "small"})

    monkeypatch.setitem(PROTOCOLS, "rate", small)
    assert main(["record", "rate", "--out", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["rate.npz"]
    assert "rate: A small one." in capsys.readouterr().out
    assert main(["record", "nothing", "--out", str(tmp_path)]) == 2
    assert "There is no recording 'nothing'" in capsys.readouterr().err
