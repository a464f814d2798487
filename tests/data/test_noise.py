import pytest
import torch

from samar.data.load import with_label_noise

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
