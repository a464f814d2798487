"""What the observer measures of weights that are handed to it, against independent answers."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from samar.data.given import objective_of
from samar.jobs.records import CURVATURE, ESTIMATE, PLANE
from samar.landscapes.frame import random_frame
from samar.training.loop import dataset_of
from samar.training.observer import (
    Effort,
    Member,
    Moment,
    Observer,
    Result,
    Subject,
    as_bytes,
    load_values,
    packed,
    values_of,
)
from samar.training.observing import ESTIMATE_IMAGES, PLANE_IMAGES, subject_of
from samar.training.settings import TrainSettings
from samar.training.trainer import Trainer


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    settings = TrainSettings(images_per_class=20, batch_size=32, device="cpu", seed=3)
    trainer = Trainer(settings, dataset_of(settings))
    for _ in range(6):
        trainer.step()
    return trainer


def moment_of(network: nn.Module, step: int, rho: float | None = None) -> Moment:
    return Moment(step, [Member(0, as_bytes(values_of(network)), rho, {"lr": 0.1})])


def observer_of(trainer: Trainer, found: list[Any], **changed: Any) -> Observer:
    subject = replace(subject_of(trainer), **changed)
    return Observer(cloudpickle.loads(subject.parts), subject, found.append)


def results(found: list[Result], kind: str) -> list[dict[str, Any]]:
    return [result.detail for result in found if result.kind == kind]


def test_a_plane_is_centred_on_the_weights_of_its_moment(trainer: Trainer) -> None:
    """Its losses are those of a float64 network that is moved by hand, along the same draw."""
    found: list[Any] = []
    observer = observer_of(trainer, found)
    for _ in range(3):  # what was measured before leaves no trace
        observer.observe(moment_of(trainer.model, trainer.step_count))
        trainer.step()
    observer.observe(moment_of(trainer.model, trainer.step_count))
    plane = results(found, PLANE)[-1]
    assert plane["images"] == PLANE_IMAGES
    assert len(plane["axis"]) == 9
    sample = trainer.sample(PLANE_IMAGES)
    frame = random_frame(trainer.model, seed=trainer.config.seed)
    network = cloudpickle.loads(cloudpickle.dumps(trainer.model)).double().eval()
    origin = [w.detach().double().clone() for w in trainer.model.parameters()]
    for row, column in ((4, 4), (0, 0), (2, 7), (8, 3)):
        alpha, beta = plane["axis"][column], plane["axis"][row]
        with torch.no_grad():
            for w, centre, first, second in zip(
                network.parameters(), origin, *frame.axes, strict=True
            ):
                w.copy_(centre + alpha * first.double() + beta * second.double())
            expected = float(sample.to(torch.float64).loss(network))
        assert plane["loss"][row][column] == pytest.approx(expected, rel=1e-5)


def test_an_estimate_of_accuracy_has_its_error(trainer: Trainer) -> None:
    found: list[Any] = []
    observer_of(trainer, found).observe(moment_of(trainer.model, trainer.step_count))
    (estimate,) = results(found, ESTIMATE)
    _, right = trainer.sample(ESTIMATE_IMAGES).measured(trainer.model.eval(), 64).tolist()
    trainer.model.train()
    count = min(ESTIMATE_IMAGES, len(trainer.sample(ESTIMATE_IMAGES)))
    share = right / count
    assert estimate["train_accuracy"] == pytest.approx(share)
    assert estimate["train_error"] == pytest.approx(math.sqrt(share * (1 - share) / count))
    assert estimate["gap"] == pytest.approx(share - estimate["test_accuracy"])
    assert estimate["gap_error"] >= max(estimate["train_error"], estimate["test_error"])


def test_weights_of_every_format_travel(trainer: Trainer) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2).double())
    network[1].running_mean += 2  # type: ignore[operator]
    network.register_buffer("mask", torch.tensor([True, False]))
    network.register_buffer("hidden", torch.arange(3), persistent=False)
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2).double())
    other.register_buffer("mask", torch.zeros(2, dtype=torch.bool))
    other.register_buffer("hidden", torch.zeros(3, dtype=torch.long), persistent=False)
    flat = values_of(network)
    formats = [values.dtype for values in flat]
    sent = zip(as_bytes(flat), formats, strict=True)
    load_values(other, [torch.from_numpy(content).view(dtype) for content, dtype in sent])
    ours, theirs = ([*each.parameters(), *each.buffers()] for each in (network, other))
    assert all(map(torch.equal, ours, theirs))


class Powers(nn.Module):
    """The loss Σ c_i |w_i|^p_i / (p_i (p_i − 1)), whose Hessian is diag(c_i |w_i|^(p_i − 2)).

    As w_i falls, h_i falls like h / (1 + k_i h t), k_i = (p_i − 2) / (p_i − 1): the steeper, the
    sooner overtaken by one that was less steep.
    """

    def __init__(self, count: int = 60) -> None:
        super().__init__()
        k = torch.linspace(0.1, 0.9, count)[None]
        self.weight = nn.Parameter(torch.ones(1, count))
        self.register_buffer("p", (2 - k) / (1 - k))
        self.register_buffer("c", torch.logspace(0.3, 1.6, count)[None])

    def forward(self, _: Tensor) -> Tensor:
        return (self.c * self.weight.abs() ** self.p / (self.p * (self.p - 1))).sum()

    @property
    def curvature(self) -> Tensor:
        """The diagonal, in float64."""
        return self.c.double() * self.weight.detach().double().abs() ** (self.p.double() - 2)


def test_eigenvalues_that_cross_in_training_are_followed() -> None:
    """Steep directions flatten first, so that others come to the top, again and again."""
    network = Powers()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
    x = torch.zeros(4, 1)
    objective = objective_of(network, None, x, forward=lambda net, batch: net(batch))
    found: list[Any] = []
    parts = (cloudpickle.loads(cloudpickle.dumps(network)), objective, objective, None, None)
    observer = Observer(parts, Subject(b"", "cpu", 0, Effort(points=5)), found.append)
    expected, tops = [], []
    for step in range(30):
        observer.observe(moment_of(network, step))
        expected.append(float(network.curvature.max()))
        tops.append(int(network.curvature.argmax()))
        for _ in range(2):
            optimizer.zero_grad()
            network(x).backward()
            optimizer.step()
    curvature = results(found, CURVATURE)
    errors = [
        abs(seen["values"][0] / true - 1) for seen, true in zip(curvature, expected, strict=True)
    ]
    assert len(set(tops)) > 9, "they do cross"
    assert sum(error < 0.02 for error in errors) >= 27, errors
    assert all(c["residuals"][0] <= 0.02 * c["values"][0] for c in curvature if c["converged"])
    warm = [c["products"] for n, c in enumerate(curvature) if n % 10]
    assert max(warm) <= Effort().products


def test_what_stands_still_is_measured_more_finely(trainer: Trainer) -> None:
    found: list[Any] = []
    observer = observer_of(trainer, found)
    observer.observe(moment_of(trainer.model, trainer.step_count))
    observer.refine()
    planes = results(found, PLANE)
    assert [len(plane["axis"]) for plane in planes] == [9, 17, 33]
    for finer in planes[1:]:
        every = len(finer["axis"]) // 8
        coarse = [row[::every] for row in finer["loss"][::every]]
        np.testing.assert_allclose(coarse, planes[0]["loss"], rtol=1e-5)
    first, last = results(found, CURVATURE)
    assert (len(first["values"]), len(last["values"])) == (3, 5)
    assert last["values"][0] == pytest.approx(first["values"][0], rel=0.05)
    count = len(found)
    observer.refine()
    assert len(found) == count, "there is nothing left to do"


def test_what_cannot_be_pickled_is_said_before_anything_is_sent() -> None:
    class Holding(nn.Linear):
        held: Callable[[], Any]

    network = Holding(2, 2)
    network.held = (n for n in range(3)).__next__  # type: ignore[method-assign]
    objective = objective_of(network, None, (torch.zeros(2, 2), torch.zeros(2, dtype=torch.long)))
    with pytest.raises(TypeError, match="cannot pickle"):
        packed(network, objective, objective)
