"""A measured accuracy beside the published one: when it is explained, and by what."""

from dataclasses import replace

import pytest

from samar.networks.library import ImportedModel
from samar.networks.public import PUBLIC
from samar.networks.published import difference, published, reasons

ENTRY = PUBLIC["idelbayev-resnet20"]
MODEL = ImportedModel(
    id="m00000000",
    title="net",
    model="resnet20",
    classes=10,
    channels=3,
    normalize="imagenet",
    dataset="folder:/data/my_images",
    file="resnet20-12fca82f.th",
    sha256=ENTRY.sha256 + "0" * 56,
    size=1,
    created=0.0,
    correct=1609,
    images=2000,
    of=2000,
)


def test_a_file_is_known_by_its_checksum_whatever_it_is_called() -> None:
    assert published(MODEL.sha256) == ENTRY
    assert published("f" * 64) is None


def test_a_difference_is_explained_by_images_number_normalization_and_precision() -> None:
    assert difference(MODEL) == "80.45% is 11.3 points below the published 91.73%."
    which, number, normalization, precision = reasons(MODEL)
    assert which.startswith(
        "Images: the folder my_images. The published accuracy is that on the original"
    )
    assert "test images of CIFAR-10" in which
    assert "all 2,000 test images, published on 10,000. " in number
    assert "up to about 1.8 points" in number  # 2 √(p (1 − p) / 2000)
    assert normalization == "Normalization: ImageNet, as in its training."
    assert "fp32" in precision


def test_a_part_of_the_images_and_another_normalization_are_named() -> None:
    few = replace(MODEL, correct=160, images=200, dataset="cifar10", normalize="cifar")
    which, number, normalization, _ = reasons(few)
    assert which == "Images: the test images of CIFAR-10, as published."
    assert "200 of 2,000 test images, published on 10,000. " in number
    assert "up to about 5.7 points" in number
    assert normalization == (
        "Normalization: CIFAR-10, but it was trained with ImageNet. That alone can cost many "
        "points."
    )
    own = replace(few, normalize="auto", of=None)
    assert "measured on these images, but it was trained with ImageNet" in reasons(own)[2]
    assert "How many: 200, published" in reasons(own)[1]


@pytest.mark.parametrize(
    "model",
    [
        replace(MODEL, correct=1825),  # 91.25 %
        replace(MODEL, correct=None, images=None),
        replace(MODEL, sha256="f" * 64),
    ],
)
def test_less_than_a_point_or_nothing_to_compare_with_needs_no_words(model: ImportedModel) -> None:
    assert difference(model) == ""
    assert reasons(model) == []


def test_an_accuracy_above_the_published_one_is_told_too() -> None:
    assert "points above the published" in difference(replace(MODEL, correct=1990))
