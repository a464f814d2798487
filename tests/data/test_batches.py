import numpy as np
import pytest
import torch

from samar.data.augment import Augmentation
from samar.data.batches import Batches
from samar.data.dataset import ImageSet
from samar.data.normalization import Normalization

NOTHING = Augmentation(crop_padding=0, flip=False, cutout=0)
PLAIN = Normalization((0.0,), (1.0,))


def batches(images, batch_size, *, seed=0, augmentation=NOTHING, **options):
    return Batches(
        images, batch_size, seed=seed, augmentation=augmentation, normalization=PLAIN, **options
    )


@pytest.fixture
def photographs():
    images = torch.randint(0, 256, (50, 3, 16, 16), dtype=torch.uint8)
    return ImageSet(images, torch.arange(50))


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (12, 4, [4, 4, 4]),
        (14, 4, [4, 4, 4, 2]),
        (13, 4, [4, 4, 5]),
        (3, 4, [3]),
        (4, 4, [4]),
        (5, 4, [5]),
        (3, 2, [3]),
    ],
)
def test_every_image_once_per_epoch_and_never_alone(numbered, count, batch_size, sizes):
    loader = batches(numbered(count), batch_size)
    assert loader.steps_per_epoch == len(sizes)
    for epoch in range(3):
        drawn = [loader.batch(epoch * len(sizes) + i) for i in range(len(sizes))]
        assert [len(y) for _, y in drawn] == sizes
        assert all(torch.equal((255 * x[:, 0, 3, 5]).round().long(), y) for x, y in drawn)
        together = torch.cat([y for _, y in drawn])
        assert sorted(together.tolist()) == list(range(count))
        assert torch.equal(together, loader.epoch(epoch))


def test_orders_differ_between_epochs_and_seeds(numbered):
    images = numbered(100)
    orders = [
        batches(images, 10, seed=seed).epoch(epoch) for seed, epoch in [(0, 0), (0, 1), (1, 0)]
    ]
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        assert (orders[i] == orders[j]).sum() < 10


def test_a_batch_depends_on_the_seed_and_the_step_alone(photographs):
    """Any order of asking, any number of times, on old and on new objects: the same batch."""
    options = {"augmentation": Augmentation(), "seed": 7}
    first = batches(photographs, 8, **options)
    forwards = {step: first.batch(step) for step in range(20)}
    fresh = batches(photographs, 8, **options)
    for step in (19, 3, 12, 12, 0):
        for known, again in zip(forwards[step], fresh.batch(step), strict=True):
            assert torch.equal(known, again)
    global_state = torch.get_rng_state(), np.random.get_state()[1].tolist()
    fresh.batch(5)
    assert torch.equal(global_state[0], torch.get_rng_state())
    assert global_state[1] == np.random.get_state()[1].tolist()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_format_and_layout(photographs, memory_format, dtype):
    options = {"dtype": dtype, "memory_format": memory_format}
    x, y = batches(photographs, 8, augmentation=Augmentation(), **options).batch(0)
    assert (x.dtype, y.dtype) == (dtype, torch.int64)
    assert x.is_contiguous(memory_format=memory_format)
    plain, _ = batches(photographs, 8, augmentation=Augmentation()).batch(0)
    torch.testing.assert_close(x.float(), plain, rtol=1e-2, atol=1e-6, check_stride=False)


def test_cutout_blanks_with_what_normalizes_to_about_zero(photographs):
    loader = Batches(
        photographs,
        50,
        seed=0,
        augmentation=Augmentation(0, False, cutout=40, cutout_probability=1),
        normalization=Normalization.preset("cifar", 3),
    )
    assert loader.batch(0)[0].abs().max() < 0.5 / 255 / 0.24


@pytest.mark.cuda
def test_the_device_makes_no_difference(photographs, gpu):
    here = batches(photographs, 8, augmentation=Augmentation()).batch(9)
    there = batches(photographs.to(gpu), 8, augmentation=Augmentation()).batch(9)
    torch.testing.assert_close(there[0].cpu(), here[0], rtol=0, atol=1e-6)
    assert torch.equal(there[1].cpu(), here[1])
