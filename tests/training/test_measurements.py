"""Measurements in a run: they measure right, keep to their share, and disturb nothing."""

import time
from typing import Any

import pytest
import torch

from samar.curvature.eigenvalues import top_eigenvalues
from samar.data.evaluation import evaluate
from samar.data.sample import Sample
from samar.training import measurements
from samar.training.loop import dataset_of
from samar.training.measurements import Measurement, measurements_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer

TINY = {"images_per_class": 13, "batch_size": 32, "device": "cpu"}


class Book:
    """Keeps what is written down in memory."""

    def __init__(self) -> None:
        self.events: list[tuple[int, str, dict[str, Any]]] = []
        self.landscapes: dict[str, Any] = {}

    def note(self, step: int, kind: str, **detail: Any) -> None:
        self.events.append((step, kind, detail))

    def keep(self, kind: str, step: int, landscape: Any) -> None:
        self.landscapes[kind] = landscape


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def trainer() -> Trainer:
    settings = TrainSettings(**TINY)
    trainer = Trainer(settings, dataset_of(settings))
    for _ in range(4):
        trainer.step()
    trainer.drain()
    return trainer


def measure(book: Book, trainer: Trainer, **every: int) -> None:
    none = {"curvature_every": 0, "film_every": 0}
    settings = TrainSettings(**TINY, **{**none, **every}, probe_share=1)
    (measurement,) = measurements_of(settings, book)
    measurement.after_epoch(trainer, epoch=1)


def test_curvature_equals_a_direct_measurement(book: Book, trainer: Trainer) -> None:
    measure(book, trainer, curvature_every=1)
    ((step, kind, detail),) = book.events
    data = trainer.dataset
    sample = Sample.of(data.train, data.normalization, detail["images"])
    exact = top_eigenvalues(trainer.model, sample, k=3, tol=1e-6)
    assert (kind, step) == ("curvature", 4)
    assert detail["values"] == pytest.approx(exact.values, rel=1e-3)
    assert detail["trace_error"] > 0


def test_the_landscape_is_centred_on_the_network_itself(book: Book, trainer: Trainer) -> None:
    measure(book, trainer, film_every=1)
    data = trainer.dataset
    own = evaluate(trainer.model, data.train.evenly_spaced(128), data.normalization).loss
    assert set(book.landscapes) == {"film_line", "film_plane"}
    for landscape in book.landscapes.values():
        assert landscape.centre_loss == pytest.approx(own, rel=1e-5)
        assert landscape.done.all()


def test_measurements_leave_the_run_alone(book: Book, trainer: Trainer) -> None:
    before = trainer.state_dict()
    weights, rng = {k: v.clone() for k, v in before["model"].items()}, before["rng"].clone()
    for name in ("curvature_every", "film_every"):
        measure(book, trainer, **{name: 1})
    assert len(book.events) == 2
    assert trainer.model.training
    assert torch.equal(trainer.state_dict()["rng"], rng)
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, weights[name])


class Slow(Measurement):
    """Takes ten seconds of a clock that only the test moves."""

    taken = 0

    def measure(self, trainer: Trainer) -> dict[str, Any]:
        self.taken += 1
        clock[0] += 10
        return {}


clock = [0.0]


def test_they_keep_to_their_share(
    book: Book, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements.time, "perf_counter", lambda: clock[0])
    slow = Slow(book, every=1, share=0.15, gradients=0)
    for epoch in range(1, 101):
        trainer.seconds = 10.0 * epoch
        slow.after_epoch(trainer, epoch)
    spent = 10 * slow.taken
    assert 0.10 < spent / (trainer.seconds + spent) <= 0.15
    assert [detail["seconds"] for _, _, detail in book.events] == [10.0] * slow.taken


def test_every_second_epoch_and_never(
    book: Book, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements.time, "perf_counter", time.perf_counter)
    for every, taken in ((2, 5), (0, 0)):
        slow = Slow(book, every=every, share=1.0, gradients=0)
        for epoch in range(1, 11):
            slow.after_epoch(trainer, epoch)
        assert slow.taken == taken
