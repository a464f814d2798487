import torch

from samar.data.dataset import ImageSet
from samar.data.normalization import Normalization
from samar.data.sample import Sample

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
