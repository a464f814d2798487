"""Real handwritten digits that come with scikit-learn: the data set that needs no network.

1,797 grey images of 8×8 pixels (Alpaydin & Kaynak 1998), of which 1,000 are for training and 797
for testing, a fixed draw with the same share of every digit in both.

The original values 0…16 become bytes by v ↦ ⌊255 v / 16 + 1/2⌋, which is one to one, so no
information is lost: v = round(16 x / 255).

Reference:
    Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
    1998, https://doi.org/10.24432/C50P49.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits as sklearn_digits
from sklearn.model_selection import train_test_split

from samar.data.dataset import ImageSet, Splits

TRAIN = 1000
SPLIT_SEED = 0


def load_digits() -> Splits:
    """Load the digits with their fixed split, each part in the original order."""
    bunch = sklearn_digits()
    pixels = (bunch.images.astype(np.int64) * 255 + 8) // 16
    digits = ImageSet(
        torch.from_numpy(pixels.astype(np.uint8)).unsqueeze(1),
        torch.from_numpy(bunch.target.astype(np.int64)),
    )
    train, test = train_test_split(
        np.arange(len(digits)), train_size=TRAIN, stratify=bunch.target, random_state=SPLIT_SEED
    )
    classes = tuple(str(digit) for digit in range(10))
    return Splits(_in_order(digits, train), _in_order(digits, test), classes)


def _in_order(digits: ImageSet, chosen: np.ndarray) -> ImageSet:
    return digits.subset(torch.from_numpy(np.sort(chosen)))
