import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from samar.data.load import load_dataset
from samar.errors import DataError


@pytest.mark.parametrize("size", [32, 50, 20])
def test_equals_imagefolder(image_folder, size):
    root = image_folder(("b", "a", "c"), size=size)
    dataset = load_dataset(f"folder:{root}")
    oracle = ImageFolder(str(root / "test"), transform=v2.Resize((32, 32)))
    expected = np.stack([np.asarray(image) for image, _ in oracle])
    assert torch.equal(dataset.test.images, torch.from_numpy(expected).permute(0, 3, 1, 2))
    assert dataset.test.labels.tolist() == oracle.targets
    assert dataset.classes == ("a", "b", "c")
    assert (dataset.train.channels, dataset.train.size) == (3, 32)


def test_other_modes_and_nested_folders(image_folder):
    root = image_folder()
    (root / "train" / "cat" / "more").mkdir()
    grey = Image.fromarray(np.full((40, 60), 200, np.uint8))
    grey.save(root / "train" / "cat" / "more" / "grey.JPG")
    grey.convert("RGBA").save(root / "train" / "cat" / "4.png")
    (root / "train" / "cat" / "notes.txt").write_text("no image")
    (root / "train" / "cat" / ".5.png").write_text("hidden")
    (root / "train" / ".cache").mkdir()
    (root / "train" / "cat" / "more" / ".thumbnails").mkdir()
    grey.save(root / "train" / "cat" / "more" / ".thumbnails" / "grey.png")
    dataset = load_dataset(f"folder:{root}")
    cats = dataset.train.images[dataset.train.labels == 0]
    assert len(cats) == 5
    assert (cats[-2:].short() - 200).abs().max() <= 2


def test_normalization_is_measured_on_all_training_images(image_folder):
    root = image_folder(count=6)
    few = load_dataset(f"folder:{root}", images_per_class=2)
    every = load_dataset(f"folder:{root}")
    assert len(few.train) == 4
    assert few.normalization == every.normalization
    pixels = every.train.images.double() / 255
    for channel in range(3):
        values = pixels[:, channel]
        assert every.normalization.mean[channel] == pytest.approx(values.mean().item(), abs=1e-12)
        deviation = values.std(correction=0).item()
        assert every.normalization.std[channel] == pytest.approx(deviation, abs=1e-12)


def remove(*parts):
    return lambda root: shutil.rmtree(root.joinpath(*parts))


def damage(root):
    (root / "train" / "dog" / "1.png").write_bytes(b"this is no image")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (remove(), r"folder .* does not exist; check the path after folder:"),
        (remove("train"), r"has no folder train; it needs train/CLASS/image files and test/CLASS"),
        (remove("test", "cat"), r"train and test in .* differ in the classes cat; give both"),
        (damage, r"image .*1\.png cannot be read \(not an image\); replace or remove it"),
    ],
)
def test_every_failure_is_one_sentence(image_folder, spoil, sentence):
    root = image_folder()
    spoil(root)
    with pytest.raises(DataError, match=sentence) as caught:
        load_dataset(f"folder:{root}")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.shared
def test_real_images(shared_data):
    dataset = load_dataset(f"folder:{shared_data / 'cifar10'}")
    assert (len(dataset.train), len(dataset.test), len(dataset.classes)) == (10_000, 2_000, 10)
    assert dataset.classes[:3] == ("airplane", "automobile", "bird")
    assert dataset.normalization.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=2e-3)
    assert dataset.normalization.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=2e-3)
