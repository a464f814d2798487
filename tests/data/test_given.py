"""What somebody gives as loss and data becomes an objective, or one clear sentence."""

from collections import UserDict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from samar.data.given import objective_of
from samar.data.sample import Sample
from samar.errors import ConfigError

DRAWN = torch.Generator().manual_seed(4)
X = torch.randn(6, 3, dtype=torch.float64, generator=DRAWN)
Y = torch.randint(2, (6,), generator=DRAWN)
Z = torch.randn(6, 2, dtype=torch.float64, generator=DRAWN)


class Named(nn.Module):
    """Takes its inputs by name and returns its loss, as Hugging Face's models do."""

    def __init__(self, form: Any = lambda loss: {"loss": loss}) -> None:
        super().__init__()
        self.layer, self.form = nn.Linear(3, 2, dtype=torch.float64), form

    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.form(F.cross_entropy(self.layer(x), y))


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2, dtype=torch.float64)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.layer(a - b)


NET, NAMED, TWO = nn.Linear(3, 2, dtype=torch.float64), Named(), Two()
PLAIN = Named(lambda loss: SimpleNamespace(loss=loss))


@pytest.mark.parametrize(
    ("network", "asked", "expected"),
    [
        (NET, {"data": (X, Y)}, lambda: F.cross_entropy(NET(X), Y)),
        (NET, {"loss": F.mse_loss, "data": (X, Z)}, lambda: F.mse_loss(NET(X), Z)),
        (
            NET,
            {"loss": F.mse_loss, "data": [(X[:4], Z[:4]), (X[4:], Z[4:])]},
            lambda: F.mse_loss(NET(X), Z),
        ),
        (
            NET,
            {"data": DataLoader(TensorDataset(X, Y), batch_size=4)},
            lambda: F.cross_entropy(NET(X), Y),
        ),
        (
            NET,
            {"loss": nn.CrossEntropyLoss(label_smoothing=0.1), "data": (X, Y)},
            lambda: F.cross_entropy(NET(X), Y, label_smoothing=0.1),
        ),
        (TWO, {"loss": F.mse_loss, "data": ((X, X / 2), Z)}, lambda: F.mse_loss(TWO(X, X / 2), Z)),
        (
            TWO,
            {"loss": F.mse_loss, "data": ({"b": X / 2, "a": X}, Z)},
            lambda: F.mse_loss(TWO(X, X / 2), Z),
        ),
        (NAMED, {"data": {"x": X, "y": Y}}, lambda: F.cross_entropy(NAMED.layer(X), Y)),
        (NAMED, {"data": UserDict(x=X, y=Y)}, lambda: F.cross_entropy(NAMED.layer(X), Y)),
        (PLAIN, {"data": {"x": X, "y": Y}}, lambda: F.cross_entropy(PLAIN.layer(X), Y)),
        (NAMED, {"data": [{"x": X, "y": Y}] * 2}, lambda: F.cross_entropy(NAMED.layer(X), Y)),
        (
            NET,
            {"data": X, "forward": lambda network, batch: network(batch).square().mean()},
            lambda: NET(X).square().mean(),
        ),
    ],
)
def test_every_form_gives_the_same_loss(network: nn.Module, asked: Any, expected: Any) -> None:
    objective = objective_of(network, **asked)
    assert len(objective) in (6, 12)
    torch.testing.assert_close(objective.loss(network), expected())
    sums = torch.stack([piece.sums(network)[0] for piece in objective.pieces(3)])
    torch.testing.assert_close(sums.sum() / len(objective), expected().double())


def test_labels_alone_are_a_sample() -> None:
    """It is cut as the memory asks, and knows what is right."""
    assert isinstance(objective_of(NET, data=(X, Y)), Sample)
    assert isinstance(objective_of(NET, F.cross_entropy, [(X[:2], Y[:2]), (X[2:], Y[2:])]), Sample)
    ignored = torch.where(torch.arange(6) == 2, -100, Y)
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1)
    for loss, data in (
        (None, (X, ignored)),
        (smooth, (X, Y)),
        (nn.CrossEntropyLoss(weight=torch.ones(2)), (X, Y)),
        (None, (X, F.one_hot(Y, 2).float())),
    ):
        assert not isinstance(objective_of(NET, loss, data), Sample)
    whole = objective_of(NET, None, (X, ignored))
    torch.testing.assert_close(whole.loss(NET), F.cross_entropy(NET(X), ignored))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "There is no data"),
        ({"data": []}, "There is no batch"),
        ({"data": (X, Y, Z)}, "is not a pair"),
        ({"data": (X, Y), "loss": F.mse_loss, "forward": F.mse_loss}, "give one of them"),
        ({"data": (X, Z[:3]), "loss": F.mse_loss, "batch_size": 2}, "another number of examples"),
    ],
)
def test_another_form_is_refused_in_a_sentence(asked: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        objective_of(NET, **asked)
