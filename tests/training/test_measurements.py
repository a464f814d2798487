"""Measurements in a run: they measure right, keep to their share, and disturb nothing."""

import time
from typing import Any

import pytest
import torch

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
    efforts,
    measurements_of,
    quick_effort,
    when_next,
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


@pytest.mark.parametrize(
    ("more", "lam"),
    [
        ({"second_pass": "late", "begin": 0.9}, 0.0),
        ({"second_pass": "late", "begin": 0.0}, 1.0),
        ({"second_pass": "threshold"}, None),
    ],
)
def test_the_edge_is_that_of_the_steps_as_they_are_taken(
    book: Book, more: dict[str, Any], lam: float | None
) -> None:
    settings = TrainSettings(**TINY, optimizer="sam", rho=0.1, **more)
    trainer = Trainer(settings, dataset_of(settings))
    for _ in range(2):
        trainer.step()
    trainer.drain()
    take(book, trainer, "curvature")
    *_, (_, _, found) = book.events
    if lam is None:
        assert found["edge"] is None
        return
    norm = float(trainer.optimizer.grad_norm) if lam else 1.0
    expected = edge_of_stability(trainer.lr, lam * 0.1, norm)
    assert found["edge"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("goes_on", ["resumed", "changed"])
def test_the_edge_knows_how_far_a_run_is_before_its_next_step(book: Book, goes_on: str) -> None:
    """Late in training a step has two gradients, so the edge is not SGD's."""
    late = {"second_pass": "late", "begin": 0.5}
    begun = {"optimizer": "sam", **late} if goes_on == "resumed" else {"optimizer": "sgd"}
    settings = TrainSettings(**TINY, epochs=2, **begun)
    trainer = Trainer(settings, dataset_of(settings))
    while trainer.step_count <= 0.8 * trainer.total_steps:
        trainer.step()
    trainer.drain()
    if goes_on == "changed":
        trainer.change(optimizer="sam", **late)
    else:
        state, trainer = trainer.state_dict(), Trainer(settings, trainer.dataset)
        trainer.load_state_dict(state)
    take(book, trainer, "curvature")
    *_, (_, _, found) = book.events
    assert found["lr"] > 0
    assert found["edge"] is None  # ‖g‖ is not known before the step


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


def test_measurements_leave_the_run_alone(book: Book, trainer: Trainer) -> None:
    before = trainer.state_dict()
    weights, rng = {k: v.clone() for k, v in before["model"].items()}, before["rng"].clone()
    take(book, trainer)
    assert len(book.events) == 2
    assert trainer.model.training
    assert torch.equal(trainer.state_dict()["rng"], rng)
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, weights[name])


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


class Patience:
    """Lets so many pieces of a measurement go on, and then none."""

    def __init__(self) -> None:
        self.left, self.asked = 10**9, 0

    def __call__(self) -> bool:
        self.asked += 1
        self.left -= 1
        return self.left >= 0


def marks(trainer: Trainer) -> list[Any]:
    """What a measurement might leave on a network besides its tensors."""
    found: list[Any] = [torch.get_float32_matmul_precision(), torch.is_grad_enabled()]
    for module in trainer.model.modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
        found += [module.training, *map(len, hooks), sorted(vars(module))]
    for parameter in trainer.model.parameters():
        grad = parameter.grad
        found += [parameter.requires_grad, None if grad is None else grad.tolist()]
    return found


def test_given_up_in_any_piece_it_leaves_the_run_as_one_without(book: Book) -> None:
    settings = TrainSettings(**TINY, epochs=4, augment="crop_flip_cutout")
    patience = Patience()
    trainer = Trainer(settings, dataset_of(settings))
    pieces = {}
    for measurement in measurements_of(settings, Book(), patience):
        patience.asked = 0
        measurement.take(trainer, quick_effort(trainer))
        pieces[measurement.kind] = patience.asked
    assert min(pieces.values()) > 10
    states, losses = [], []
    for measured in (False, True):
        trainer = Trainer(settings, dataset_of(settings))
        both = measurements_of(settings, book, patience)
        while not trainer.finished:
            for measurement in both * measured:
                before = marks(trainer), torch.get_rng_state()
                last = pieces[measurement.kind] - 1
                patience.left = trainer.step_count * last // (trainer.total_steps - 1)
                measurement.take(trainer, quick_effort(trainer))
                assert patience.left == -1
                assert marks(trainer) == before[0]
                assert torch.equal(torch.get_rng_state(), before[1])
            trainer.step()
        losses.append([record.loss for record in trainer.drain()])
        states.append(trainer.model.state_dict())
    assert book.events == []
    assert book.landscapes == {}
    assert losses[0] == losses[1]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_one_given_up_counts_and_comes_after_the_next_epoch(
    book: Book, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements.time, "perf_counter", lambda: clock[0])
    patience = Patience()
    slow = Slow(book, every=5, share=0.15, go_on=patience)

    def at_epoch(epoch: int) -> None:
        trainer.seconds, trainer.step_count = 100.0 * epoch, trainer.steps_per_epoch * epoch

    at_epoch(0)
    patience.left = 1
    slow.at_start(trainer)
    comes = "Put off: the run was paused. It comes when the run goes on."
    assert (slow.outlook(trainer)["next_epoch"], slow.outlook(trainer)["reason"]) == (None, comes)
    patience.left = 9
    slow.at_start(trainer)
    assert slow.outlook(trainer)["next_epoch"] == 5
    at_epoch(5)
    patience.left = 1
    after_epoch(slow, trainer, 5)
    told = slow.outlook(trainer)
    comes = "Put off: the run was paused. Press Measure now to have one at once."
    assert (told["next_epoch"], told["reason"], told["step"]) == (6, comes, 0)
    assert slow.outlook(trainer, over=True)["reason"] == "The run is over."
    at_epoch(6)
    patience.left = 9
    after_epoch(slow, trainer, 6)
    told = slow.outlook(trainer)
    assert (told["next_epoch"], told["reason"]) == (10, "")
    assert told["step"] == trainer.step_count
    # Four were begun, two of them given up after ten seconds; all count.
    at_epoch(10)
    trainer.seconds = 283.0  # 50 of 333 s are 15.02 %
    after_epoch(slow, trainer, 10)
    assert slow.begun == 4
    trainer.seconds = 284.0
    after_epoch(slow, trainer, 10)
    assert slow.begun == 5


def test_the_first_and_the_last_come_whatever_the_time_limit(book: Book) -> None:
    settings = TrainSettings(**TINY, epochs=3, probe_share=0.0)
    trainer = Trainer(settings, dataset_of(settings))
    both = measurements_of(settings, book)
    for measurement in both:
        measurement.at_start(trainer)
    while not trainer.finished:
        trainer.step()
        if trainer.at_epoch_end:
            for measurement in both:
                after_epoch(measurement, trainer, trainer.step_count // trainer.steps_per_epoch)
    at = [(step, kind) for step, kind, _ in book.events]
    last = trainer.total_steps
    assert at == [(0, "film"), (0, "curvature"), (last, "film"), (last, "curvature")]
    for _, kind, detail in book.events:
        assert detail["images"] <= 128
        assert kind == "film" or (len(detail["values"]) == 3 and detail["seconds"] >= 0)


def test_what_was_measured_before_an_interruption_is_known(book: Book, trainer: Trainer) -> None:
    (_, curvature) = measurements_of(trainer.config, book)
    curvature.recall([(0, 1.5), (4, 2.5)])
    curvature.at_start(trainer)
    assert book.events == []
    told = curvature.outlook(trainer)
    assert (told["step"], told["seconds"]) == (4, 2.5)


def test_on_demand_it_measures_what_is_switched_off_but_not_twice(book: Book) -> None:
    settings = TrainSettings(**TINY, curvature_every=0, film_every=0, probe_share=0.0)
    trainer = Trainer(settings, dataset_of(settings))
    both = measurements_of(settings, book)
    for measurement in both:
        measurement.at_start(trainer)
        after_epoch(measurement, trainer, 1)
    assert book.events == []
    for _ in range(2):
        for effort in efforts(trainer):
            for measurement in both:
                measurement.now(trainer, effort)
    assert [kind for _, kind, _ in book.events] == ["film", "curvature"]
    assert both[0].outlook(trainer)["reason"] == "Switched off in the settings."


def test_cost_decides_how_coarse_a_quick_one_is(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quick_effort(trainer) == Effort(32, 12, 6, 32, 9, 9)
    assert efforts(trainer) == [USUAL]
    monkeypatch.setattr(Trainer, "macs", 40_550_000)  # ResNet-20 on photographs
    assert quick_effort(trainer) == Effort(16, 5, 6, 32, 5, 5)
    monkeypatch.setattr(Trainer, "macs", 5_000_000_000)
    assert quick_effort(trainer) == Effort(8, 5, 6, 8, 5, 5)
    assert efforts(trainer) == [quick_effort(trainer), USUAL]


def next_of(**changes: Any) -> tuple[int | None, str]:
    usual = {"epoch": 4, "epochs": 60, "every": 1, "share": 0.1, "limit": 0.2}
    usual |= {"seconds": 40.0, "spent": 1.0, "cost": 1.0}
    return when_next(**{**usual, **changes})


def test_when_the_next_is_due_and_why_not_sooner() -> None:
    put_off = (
        "Put off: measurements may take 20 % of the time. Press Measure now to have one at once."
    )
    assert next_of() == (5, "")
    assert next_of(every=3) == (6, "")
    assert next_of(epoch=58, every=7, seconds=1e9) == (60, "")  # the last one always comes
    assert next_of(epoch=0, seconds=0.0) == (1, "")
    assert next_of(spent=7.0) == (8, put_off)  # 8 s are a tenth of 80 s
    assert next_of(spent=7.0, every=5) == (10, put_off)
    assert next_of(spent=1000.0) == (60, put_off)
    assert next_of(share=0.0, limit=0.2) == (60, put_off)
    assert next_of(every=0) == (None, "Switched off in the settings.")
    assert next_of(epoch=60) == (None, "The run is over.")


def test_the_outlook_comes_true(
    book: Book, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements.time, "perf_counter", lambda: clock[0])
    slow = Slow(book, every=1, share=0.15)
    promised = None
    for epoch in range(1, 60):
        trainer.seconds, trainer.step_count = 10.0 * epoch, trainer.steps_per_epoch * epoch
        before = slow.begun
        after_epoch(slow, trainer, epoch)
        if slow.begun > before and promised is not None:
            assert epoch == promised
        promised = slow.outlook(trainer)["next_epoch"]


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


def test_every_second_epoch_and_never(
    book: Book, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements.time, "perf_counter", time.perf_counter)
    for every, taken in ((2, 5), (0, 0)):
        slow = Slow(book, every=every, share=1.0)
        for epoch in range(1, 11):
            after_epoch(slow, trainer, epoch)
        assert slow.begun == taken
