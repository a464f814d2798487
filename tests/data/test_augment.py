import numpy as np
import pytest
import torch

from samar.data.augment import Augmentation, augmentation_for

CPU = torch.device("cpu")
GREY = torch.tensor([1, 2, 3], dtype=torch.uint8).view(1, 3, 1, 1)


def naive(images, augmentation, draws, grey):
    """One image at a time, in NumPy."""
    padding, side = augmentation.crop_padding, augmentation.cutout
    size = images.shape[-1]
    results = []
    for image, top, left, flip, row, column in zip(images.numpy(), *draws, strict=True):
        padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
        result = padded[:, top : top + size, left : left + size].copy()
        if flip:
            result = result[:, :, ::-1].copy()
        rows = slice(max(row - side // 2, 0), max(row - side // 2 + side, 0))
        columns = slice(max(column - side // 2, 0), max(column - side // 2 + side, 0))
        result[:, rows, columns] = grey[0]
        results.append(result)
    return torch.from_numpy(np.stack(results))


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(),
        Augmentation(crop_padding=0, flip=False, cutout=5, cutout_probability=0.7),
        Augmentation(crop_padding=3, flip=False, cutout=40, cutout_probability=1),
        Augmentation(crop_padding=0, flip=False, cutout=0),
    ],
)
def test_equals_one_image_at_a_time(augmentation):
    images = torch.randint(0, 256, (60, 3, 32, 32), dtype=torch.uint8)
    before = images.clone()
    draws = augmentation.draw(np.random.default_rng(3), 60, 32, CPU)
    result = augmentation.apply(images, draws, GREY)
    assert torch.equal(result, naive(images, augmentation, draws, GREY))
    assert torch.equal(images, before)
    assert result.dtype == torch.uint8


def test_draws_are_uniform():
    n = 20_000
    draws = Augmentation(cutout_probability=0.25).draw(np.random.default_rng(0), n, 32, CPU)
    for offsets in (draws.top, draws.left):
        share = offsets.bincount(minlength=9) / n
        assert share.shape == (9,)
        assert share.tolist() == pytest.approx([1 / 9] * 9, abs=0.01)
    assert draws.flip.double().mean() == pytest.approx(0.5, abs=0.01)
    blanked = draws.row >= 0
    assert blanked.double().mean() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(blanked, draws.column >= 0)
    for centres in (draws.row[blanked], draws.column[blanked]):
        share = centres.bincount(minlength=32) / len(centres)
        assert share.tolist() == pytest.approx([1 / 32] * 32, abs=0.01)


@pytest.mark.parametrize(
    ("name", "dataset", "expected"),
    [
        ("auto", "digits", Augmentation(0, False, 0)),
        ("auto", "cifar10", Augmentation(4, True, 16, 0.5)),
        ("auto", "folder:somewhere", Augmentation(4, True, 0)),
        ("crop_flip_cutout", "digits", Augmentation(1, True, 4, 0.5)),
        ("flip", "cifar10", Augmentation(0, True, 0)),
    ],
)
def test_presets(name, dataset, expected):
    assert augmentation_for(name, dataset) == expected
    assert expected.changes_nothing == (expected == Augmentation(0, False, 0))
