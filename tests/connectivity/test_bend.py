"""Curves and their bends: gradients by hand, ends that stay, a bend that lowers the loss."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samar.connectivity.bend import BendTraining
from samar.connectivity.curve import coefficients, point
from samar.errors import ConfigError
from samar.landscapes.frame import weights_of

CURVES = ("line", "bezier", "chain")


@pytest.mark.parametrize("curve", CURVES)
def test_a_curve_goes_from_one_end_to_the_other_within_one_plane(curve: str) -> None:
    for t in np.linspace(0, 1, 21).tolist():
        assert sum(coefficients(curve, t)) == pytest.approx(1)
    assert coefficients(curve, 0.0) == (1, 0, 0)
    assert coefficients(curve, 1.0) == (0, 0, 1)


def test_curves_at_a_quarter_by_hand() -> None:
    a, w, b = ((torch.tensor([v]),) for v in (0.0, 8.0, 16.0))
    found = [float(point(curve, 0.25, a, w, b)[0]) for curve in CURVES]
    assert found == [4.0, 0.375 * 8 + 0.0625 * 16, 4.0]
    assert float(point("chain", 0.75, a, w, b)[0]) == 12.0


def logistic(weight: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """∂ mean cross-entropy / ∂ W of logits x Wᵀ, by hand: (softmax − one-hot)ᵀ x / n."""
    return (torch.softmax(x @ weight.T, 1) - F.one_hot(y, 3)).T @ x / len(x)


@pytest.mark.parametrize("curve", ["bezier", "chain"])
def test_steps_are_those_of_gradients_by_hand(curve: str) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3, bias=False).double()
    a, b = (torch.randn(3, 4).double() for _ in range(2))
    batches = [(torch.randn(6, 4).double(), torch.randint(3, (6,))) for _ in range(5)]
    before = weights_of(model)
    found = BendTraining(
        model, (a,), (b,), curve, batches.__getitem__, steps=5, lr=0.3, seed=4
    ).run()
    w, velocity = (a + b) / 2, torch.zeros(3, 4).double()
    for step, t in enumerate(np.random.default_rng(4).random(5).tolist()):
        (x, y), (ca, cw, cb) = batches[step], coefficients(curve, t)
        place = ca * a + cw * w + cb * b
        loss = -torch.log_softmax(x @ place.T, 1)[range(6), y].mean()
        assert found.loss[step] == pytest.approx(float(loss), rel=1e-12)
        velocity = 0.9 * velocity + cw * logistic(place, x, y)
        w = w - 0.3 * 0.5 * (1 + np.cos(np.pi * step / 5)) * velocity
    assert torch.allclose(found.weights[0], w, rtol=1e-12, atol=1e-14)
    assert torch.equal(model.weight, before[0])
    assert model.weight.grad is None


def test_a_bend_goes_around_a_barrier() -> None:
    """Two solutions of one problem that differ by a permutation, with a barrier between them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    x = torch.randn(64, 2).double()
    y = (x[:, 0] * x[:, 1] > 0).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    order = torch.arange(8).roll(3)
    first = weights_of(model)
    second = (first[0][order], first[1][order], first[2][:, order], first[3])
    found = BendTraining(model, first, second, "bezier", lambda _: (x, y), steps=400, lr=0.1).run()

    def highest(curve: str) -> float:
        losses = []
        for t in np.linspace(0, 1, 17).tolist():
            weights = point(curve, t, first, found.weights, second)
            names = [name for name, _ in model.named_parameters()]
            place = dict(zip(names, weights, strict=True))
            with torch.no_grad():
                losses.append(
                    float(F.cross_entropy(torch.func.functional_call(model, place, x), y))
                )
        return max(losses) - losses[0]

    assert highest("line") > 0.2
    assert highest("bezier") < 0.2 * highest("line")


def test_what_cannot_be_trained_is_said() -> None:
    model = nn.Linear(2, 2)
    ends = weights_of(model), tuple(p + 1 for p in weights_of(model))

    def batch(_: int) -> tuple[Tensor, Tensor]:
        return torch.full((2, 2), 1e30), torch.tensor([0, 1])

    with pytest.raises(ConfigError, match="'line' has no bend to train; choose bezier or chain"):
        BendTraining(model, *ends, "line", batch, steps=1, lr=0.1)
    with pytest.raises(
        ConfigError, match=r"not finite|is (nan|inf) after .* smaller learning rate"
    ):
        BendTraining(model, *ends, "chain", batch, steps=30, lr=1e30).run()


def test_dropout_and_statistics_of_the_model_stay_as_they_were() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x, y = torch.randn(8, 2), torch.randint(2, (8,))
    ends = weights_of(model), tuple(p + 0.1 for p in weights_of(model))
    BendTraining(model, *ends, "bezier", lambda _: (x, y), steps=3, lr=0.1).run()
    assert not model.training
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())


def test_a_training_that_is_loaded_goes_on_bit_for_bit() -> None:
    """Momentum, places, learning rate and the masks of dropout are those of the whole training."""
    torch.manual_seed(0)
    layers = [nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2)]
    model = nn.Sequential(*layers)
    x, y = torch.randn(16, 2), torch.randint(2, (16,))
    ends = weights_of(model), tuple(p + torch.randn_like(p) for p in weights_of(model))

    def training() -> BendTraining:
        return BendTraining(model, *ends, "bezier", lambda _: (x, y), steps=9, lr=0.1, seed=3)

    whole = training().run()
    cut, again = training(), training()
    for _ in range(4):
        cut.step()
    assert cut.done == 4
    again.load_state_dict(cut.state_dict())
    torch.rand(7)  # whatever else was drawn meanwhile
    found = again.run()
    for one, other in zip(whole.weights, found.weights, strict=True):
        assert torch.equal(one, other)
    assert whole.loss.tolist() == found.loss.tolist()
