"""Making recordings: a watched run takes the same steps, and what is counted is what happened."""

from pathlib import Path

import numpy as np
import pytest
import torch

from examples.recordings import connected
from examples.recordings.__main__ import RECORDINGS
from examples.recordings.__main__ import main as make
from examples.recordings.noisy import right_labels
from examples.recordings.record import Watch, learned, record_run
from examples.recordings.small import _rescale, network
from samar.data.dataset import Dataset
from samar.jobs.training_records import EpochRecord, StepRecord
from samar.recordings import Recording
from samar.training.loop import dataset_of, train
from samar.training.settings import TrainSettings
from samar.web.lessons.connected import connection


def test_a_watched_run_takes_the_steps_of_a_plain_one() -> None:
    config = TrainSettings(epochs=2, images_per_class=20, label_noise=0.4)
    plain = list(train(config))
    watch = Watch(eigenvalues_every=1, plane_every=1, plane_points=5, labels=right_labels(config))
    run, _ = record_run(config, watch)
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
    run, trainer = record_run(config, Watch(changes=[(3, {"lr": 0.5})]))
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


def test_the_command_makes_what_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rate() -> Recording:
        """A small one."""
        return Recording("rate", {"about": "small"})

    monkeypatch.setitem(RECORDINGS, "rate", rate)
    make(["rate", "--out", str(tmp_path / "out")])
    assert Recording.load(tmp_path / "out" / "rate.npz").manifest == {"about": "small"}
    assert capsys.readouterr().out == "rate: A small one.\n"
    with pytest.raises(SystemExit):
        make(["nothing"])
    assert "there is no recording 'nothing'; choose" in capsys.readouterr().err


def test_what_lies_between_minima_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    few = connected.SETTINGS.changed(points=5, images=20, steps=2, plane=5)
    monkeypatch.setattr(connected, "SETTINGS", few)
    monkeypatch.setattr(connected, "SEEDS", 1)
    monkeypatch.setattr(connected, "EPOCHS", 1)
    monkeypatch.setattr(connected, "PAIRS", {"same_start": (("sgd_0", "samar_0"),)})
    found = connected.connected()
    tables = found.tables
    assert set(found.runs) == {"sgd_0", "samar_0"}
    assert tables["same_start_barrier"].shape == (1, 2, 2)
    assert tables["same_start_paths"].shape == (3, 2, 8, 5)
    assert tables["same_start_plane"].shape == (5, 5)
    paths = connection("same_start", tables).paths
    for path, barriers in zip(paths, tables["same_start_barrier"][0], strict=False):
        assert [path.barrier(split).value for split in path.along] == pytest.approx(barriers)
