"""Objectives: any loss over any batches, in pieces whose weighted mean is the whole."""

from collections import namedtuple
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from samar.data.objective import Batches, first_tensor, mapped, size_of, tensors_in
from samar.data.sample import Sample
from samar.errors import ConfigError

Pair = namedtuple("Pair", "x y")


def squares(network: Any, batch: Any) -> torch.Tensor:
    x, y = batch
    return F.mse_loss(network(x), y)


@pytest.fixture
def network() -> nn.Module:
    return nn.Linear(3, 2).double()


@pytest.fixture
def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    sizes = (5, 2, 9)
    return [(torch.randn(n, 3).double(), torch.randn(n, 2).double()) for n in sizes]


def test_the_mean_counts_every_example_once(network: nn.Module, batches: Any) -> None:
    objective = Batches(batches, squares)
    whole = tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
    expected = squares(network, whole)
    assert len(objective) == 16
    torch.testing.assert_close(objective.loss(network), expected, rtol=1e-14, atol=0)
    sums = [piece.sums(network)[0] for piece in objective.pieces(1)]
    torch.testing.assert_close(torch.stack(sums).sum() / 16, expected, rtol=1e-14, atol=0)
    assert [len(piece) for piece in objective.pieces(4)] == [5, 2, 9], "batches are not cut"
    assert torch.isnan(objective.sums(network)[1]), "nothing is right or wrong"


def test_a_sample_has_the_same_two_sums(network: nn.Module) -> None:
    x, y = torch.randn(11, 3).double(), torch.randint(2, (11,))
    sample = Sample(x, y)
    losses, hits = sample.sums(network)
    torch.testing.assert_close(losses / 11, F.cross_entropy(network(x), y))
    assert hits == (network(x).argmax(1) == y).sum()
    assert [len(piece) for piece in sample.pieces(4)] == [4, 4, 3]
    torch.testing.assert_close(sample.loss(network), F.cross_entropy(network(x), y))


def test_a_loss_with_dimensions_is_refused(network: nn.Module, batches: Any) -> None:
    each = Batches(
        batches, lambda net, batch: F.mse_loss(net(batch[0]), batch[1], reduction="none")
    )
    with pytest.raises(
        ConfigError, match=r"shape \(5, 2\); it must be a tensor without dimensions"
    ):
        each.loss(network)
    number = Batches(batches, lambda net, batch: 0.5)  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigError, match=r"The loss of a batch is 0\.5"):
        number.loss(network)


def test_any_structure_is_mapped_and_counted() -> None:
    x, y = torch.zeros(4, 2), torch.ones(4)
    batch = {"a": [x, "word"], "b": Pair(x, y), "c": (y, None), "d": 7}
    moved = mapped(lambda tensor: tensor + 1, batch)
    assert [tensor.sum().item() for tensor in tensors_in(moved)] == [8, 8, 8, 8]
    assert isinstance(moved["b"], Pair)
    assert (moved["a"][1], moved["c"][1], moved["d"]) == ("word", None, 7)
    assert first_tensor(batch) is x
    assert size_of(batch) == 4
    assert size_of(torch.tensor(1.0)) == 1
    with pytest.raises(ConfigError, match="A batch is a dict without a tensor in it"):
        size_of({"a": "word"})
    with pytest.raises(ConfigError, match="There is no batch"):
        Batches([], squares)


def test_images_are_laid_out_and_other_inputs_left() -> None:
    images, words = torch.randn(2, 3, 4, 4), torch.randint(9, (2, 5))
    changed = Batches([(images, words)], squares).laid_out(torch.channels_last)
    (piece,) = changed.pieces(9)
    seen: list[torch.Tensor] = []
    piece._loss = lambda network, batch: (seen.extend(batch), torch.zeros(()))[1]  # type: ignore[attr-defined]
    piece.loss(None)  # type: ignore[arg-type]
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(seen[0], images)
    assert seen[1] is words
    sample = Sample(words, torch.zeros(2, dtype=torch.int64))
    assert sample.to(torch.float64).x.dtype == torch.int64, "words are not numbers"
