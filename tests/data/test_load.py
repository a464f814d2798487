import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as sklearn_digits

from samar.data.load import load_dataset, with_label_noise
from samar.errors import ConfigError


def test_digits_keep_every_value_and_every_image():
    digits = load_dataset("digits")
    assert (len(digits.train), len(digits.test)) == (1000, 797)
    assert digits.classes == tuple("0123456789")
    together = torch.cat([digits.train.images, digits.test.images]).squeeze(1).numpy()
    original = np.rint(together * (16 / 255))
    expected = sklearn_digits().images
    assert sorted(map(bytes, original.astype(np.uint8))) == sorted(
        map(bytes, expected.astype(np.uint8))
    )
    shares = (
        digits.train.labels.bincount()
        / torch.cat([digits.train.labels, digits.test.labels]).bincount()
    )
    assert (shares - 1000 / 1797).abs().max() < 0.005


def test_the_digits_split_never_changes():
    """Runs can only be compared while this stays."""
    digits = load_dataset("digits")
    assert digits.checksum == "e52daa6281a6208bef52b835d2fbb5d41bba42d1910cc9d97a89b74373de647c"
    assert digits.train.labels[:10].tolist() == [3, 4, 6, 9, 0, 1, 2, 5, 7, 8]


def test_images_per_class_takes_the_first_of_each():
    every, few = load_dataset("digits"), load_dataset("digits", images_per_class=7)
    kept = []
    for label in range(10):
        kept += (every.train.labels == label).nonzero().flatten()[:7].tolist()
    kept = torch.tensor(sorted(kept))
    assert torch.equal(few.train.images, every.train.images[kept])
    assert few.train.labels.bincount().tolist() == [7] * 10
    assert len(few.test) == 797


def test_noise_touches_training_labels_only():
    clean, noisy = load_dataset("digits"), load_dataset("digits", label_noise=0.4, seed=5)
    assert noisy.wrong_labels == 400
    assert (noisy.train.labels != clean.train.labels).sum() == 400
    assert torch.equal(noisy.train.images, clean.train.images)
    assert torch.equal(noisy.test.labels, clean.test.labels)
    assert load_dataset("digits", label_noise=0.4, seed=5).checksum == noisy.checksum
    assert load_dataset("digits", label_noise=0.4, seed=6).checksum != noisy.checksum


def test_held_out_images_are_training_images_and_the_same_for_every_seed():
    whole = load_dataset("digits", label_noise=0.4, seed=3)
    split = load_dataset("digits", label_noise=0.4, seed=3, validation=0.2)
    assert whole.validation is None
    assert split.validation is not None
    assert (len(split.train), len(split.validation), len(split.test)) == (800, 200, 797)
    together = torch.cat([split.train.images, split.validation.images]).flatten(1)
    assert len(together.unique(dim=0)) == len(whole.train.images.flatten(1).unique(dim=0))
    assert split.wrong_labels == whole.wrong_labels == 400
    other = load_dataset("digits", label_noise=0.4, seed=4, validation=0.2).validation
    assert other is not None
    assert torch.equal(other.images, split.validation.images)
    assert not torch.equal(other.labels, split.validation.labels)  # as noisy as the rest
    classes = torch.bincount(split.validation.labels, minlength=10)
    assert classes.min() >= 12


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"images_per_class": 97}, "is 97, but class 8 has only 96 training .* at most 96"),
        ({"label_noise": 1.5}, r"label noise is 1\.5; choose a share between 0 and 1"),
        ({"validation": 1e-4}, "takes 0 of 1000 training images; choose another"),
        ({"normalize": "mine"}, "normalization 'mine' does not exist; choose auto, digits, cifar"),
    ],
)
def test_options_out_of_range(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_dataset("digits", **options)


def test_halved_images_are_means_of_four():
    whole = load_dataset("digits", images_per_class=3, label_noise=0.3, validation=0.2)
    half = load_dataset("digits", images_per_class=3, label_noise=0.3, validation=0.2, halve=True)
    assert half.normalization == whole.normalization
    assert half.checksum != whole.checksum
    for before, after in (
        (whole.train, half.train),
        (whole.test, half.test),
        (whole.validation, half.validation),
    ):
        assert after.labels.tolist() == before.labels.tolist()
        means = before.images.double().unflatten(-1, (4, 2)).unflatten(-3, (4, 2)).mean((-1, -3))
        assert torch.equal(after.images, means.round().byte())


LABELS = torch.arange(10).repeat(1000)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 1.0])
def test_exactly_the_share_is_wrong(rate):
    before = LABELS.clone()
    noisy, wrong = with_label_noise(LABELS, rate, classes=10, seed=0)
    assert wrong == (noisy != LABELS).sum() == round(rate * len(LABELS))
    assert noisy.min() >= 0
    assert noisy.max() <= 9
    assert torch.equal(LABELS, before)


def test_every_other_class_is_as_likely():
    """χ² over the 90 pairs (right, wrong) has 80 degrees of freedom given the 10 row sums."""
    noisy, _ = with_label_noise(LABELS, 0.9, classes=10, seed=1)
    changed = noisy != LABELS
    pairs = torch.zeros(10, 10).index_put_(
        (LABELS[changed], noisy[changed]), torch.ones(1), accumulate=True
    )
    expected = pairs.sum(1, keepdim=True) / 9
    chi2 = ((pairs - expected) ** 2 / expected)[~torch.eye(10, dtype=torch.bool)].sum()
    assert pairs.diagonal().sum() == 0
    assert 40 < chi2 < 130
