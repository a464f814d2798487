"""Measurements in a run: they measure right, keep to their share, and disturb nothing."""

from typing import Any

import pytest

from samar.curvature.dynamics import edge_of_stability
from samar.curvature.solvers.eigenvalues import top_eigenvalues
from samar.data.evaluation import evaluate
from samar.data.sample import Sample
from samar.training import measurements
from samar.training.loop import dataset_of
from samar.training.measurements import (
    USUAL,
    Effort,
    Measurement,
    measurements_of,
)
from samar.training.mislabelled import Mislabelled
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


def after_epoch(measurement: Measurement, trainer: Trainer, epoch: int) -> None:
    """What a run does after an epoch."""
    if (effort := measurement.planned(trainer, epoch)) is not None:
        measurement.take(trainer, effort)


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


def take(book: Book, trainer: Trainer, *kinds: str, effort: Effort = USUAL) -> None:
    for measurement in measurements_of(trainer.config, book):
        if measurement.kind in (kinds or ("curvature", "film")):
            measurement.take(trainer, effort)


@pytest.mark.parametrize(
    ("optimizer", "more", "along"),
    [
        ("sgd", {}, False),
        ("sam", {"rho": 0.1}, True),
        ("samar", {"rho": 0.1, "rule": "fixed", "lam": 3.0}, True),
        ("vasso", {"rho": 0.1}, False),
    ],
)
def test_curvature_meets_the_step_that_was_taken(
    book: Book, optimizer: str, more: dict[str, Any], along: bool
) -> None:
    """Edge of the step as it was, κ only where the perturbation is along the gradient."""
    settings = TrainSettings(**TINY, optimizer=optimizer, **more)
    trainer = Trainer(settings, dataset_of(settings))
    for _ in range(2):
        trainer.step()
    trainer.drain()
    take(book, trainer, "curvature")
    *_, (_, _, found) = book.events
    assert 0 < found["gradient_share"] <= 1
    assert (found["kappa"] is not None) == (found["kappa_expected"] is not None) == along
    if optimizer == "vasso":
        assert found["edge"] is None
        return
    radius = {"sgd": 0.0, "sam": 0.1, "samar": 0.3}[optimizer]
    norm = float(trainer.optimizer.grad_norm) if along else 1.0
    assert found["edge"] == pytest.approx(edge_of_stability(trainer.lr, radius, norm), rel=1e-5)


def test_curvature_equals_a_direct_measurement(book: Book, trainer: Trainer) -> None:
    take(book, trainer, "curvature")
    ((step, kind, detail),) = book.events
    data = trainer.dataset
    sample = Sample.of(data.train, data.normalization, detail["images"])
    exact = top_eigenvalues(trainer.model, sample, k=3, tol=1e-6)
    assert (kind, step) == ("curvature", 4)
    assert detail["values"] == pytest.approx(exact.values, rel=1e-3)
    assert detail["trace_error"] > 0


def test_the_landscape_is_centred_on_the_network_itself(book: Book, trainer: Trainer) -> None:
    take(book, trainer, "film")
    data = trainer.dataset
    own = evaluate(trainer.model, data.train.evenly_spaced(128), data.normalization).loss
    assert set(book.landscapes) == {"film_line", "film_plane"}
    for landscape in book.landscapes.values():
        assert landscape.centre_loss == pytest.approx(own, rel=1e-5)
        assert landscape.done.all()


def test_a_run_measured_at_any_moment_takes_the_same_steps(book: Book) -> None:
    """Before the first step, in the middle of an epoch and at its end; dropout's draws too."""
    losses = []
    for measured in (False, True):
        settings = TrainSettings(**TINY, label_noise=0.4, epochs=4, augment="crop_flip_cutout")
        trainer = Trainer(settings, dataset_of(settings))
        both = measurements_of(settings, book)
        images = Mislabelled.of(trainer.dataset)
        assert images is not None
        while not trainer.finished:
            if measured and trainer.step_count in (0, 3, 5):
                for measurement in both:
                    measurement.at_start(trainer)
                    measurement.now(trainer, USUAL)
                images.answers(trainer)
            trainer.step()
        losses.append([record.loss for record in trainer.drain()])
    assert losses[0] == losses[1]
    assert [step for step, kind, _ in book.events if kind == "film"] == [0, 0, 3, 5]


class Slow(Measurement):
    """Takes ten seconds of a clock that only the test moves."""

    begun = 0

    @staticmethod
    def gradients(effort: Effort) -> float:
        return 0.0

    def measure(self, trainer: Trainer, effort: Effort) -> dict[str, Any]:
        self.begun += 1
        clock[0] += 10
        self.check()
        return {}


clock = [0.0]


def test_they_keep_to_their_share(
    book: Book, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements.time, "perf_counter", lambda: clock[0])
    slow = Slow(book, every=1, share=0.15)
    for epoch in range(1, 101):
        trainer.seconds = 10.0 * epoch
        after_epoch(slow, trainer, epoch)
    spent = 10 * slow.begun
    assert 0.10 < spent / (trainer.seconds + spent) <= 0.15
    assert [detail["seconds"] for _, _, detail in book.events] == [10.0] * slow.begun
