"""Objectives: any loss over any batches, in pieces whose weighted mean is the whole."""

from collections import namedtuple
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from samar.data.dataset import ImageSet
from samar.data.normalization import Normalization
from samar.data.objective import Batches, first_tensor, mapped, size_of, tensors_in
from samar.data.sample import Sample

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


def test_any_structure_is_mapped_and_counted() -> None:
    x, y = torch.zeros(4, 2), torch.ones(4)
    batch = {"a": [x, "word"], "b": Pair(x, y), "c": (y, None), "d": 7}
    moved = mapped(lambda tensor: tensor + 1, batch)
    assert [tensor.sum().item() for tensor in tensors_in(moved)] == [8, 8, 8, 8]
    assert isinstance(moved["b"], Pair)
    assert (moved["a"][1], moved["c"][1], moved["d"]) == ("word", None, 7)
    assert first_tensor(batch) is x
    assert size_of(batch) == 4


HALF = Normalization((0.5,), (0.5,))


def test_evenly_spaced_and_normalized() -> None:
    pixels = torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1)
    sample = Sample.of(ImageSet(pixels, torch.arange(20)), HALF, 5)
    assert sample.y.tolist() == [0, 4, 8, 12, 16]
    torch.testing.assert_close(sample.x.flatten(), (sample.y / 255 - 0.5) / 0.5)
    assert len(Sample.of(ImageSet(pixels, torch.arange(20)), HALF)) == 20
    assert len(Sample.of(ImageSet(pixels, torch.arange(20)), HALF, 99)) == 20


def test_batches_cover_everything_once() -> None:
    sample = Sample(torch.randn(10, 1, 2, 2), torch.arange(10))
    pieces = list(sample.batches(4))
    assert [len(y) for _, y in pieces] == [4, 4, 2]
    assert torch.equal(torch.cat([x for x, _ in pieces]), sample.x)
