"""Real handwritten digits that come with scikit-learn: the data set that needs no network.

1,797 grey images of 8×8 pixels (Alpaydin & Kaynak 1998), of which 1,000 are for training and 797
for testing: of the images in order of their label, evenly spaced ones, so that every digit has the
same share in both parts.

The original values 0…16 become bytes by v ↦ ⌊255 v / 16 + 1/2⌋, which is one to one, so no
information is lost: v = round(16 x / 255).

The file is read from scikit-learn's folder without importing scikit-learn, whose import takes
longer than a first training run needs to show something; a test compares with its own loader.

Reference:
    Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
    1998, https://doi.org/10.24432/C50P49.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from samar.data.dataset import ImageSet, Splits
from samar.errors import DataError

FILE = "datasets/data/digits.csv.gz"
TRAIN = 1000


def load_digits() -> Splits:
    """Load the digits with their fixed split, each part in the original order.

    Raises:
        DataError: scikit-learn, or its file, is not there.
    """
    table = np.loadtxt(_file(), delimiter=",", dtype=np.int64)  # (1797, 64 pixels + label)
    pixels, labels = (table[:, :-1] * 255 + 8) // 16, table[:, -1]
    digits = ImageSet(
        torch.from_numpy(pixels.astype(np.uint8)).view(-1, 1, 8, 8), torch.from_numpy(labels.copy())
    )
    ranks = np.arange(len(labels))
    for_training = (ranks + 1) * TRAIN // len(labels) > ranks * TRAIN // len(labels)
    by_label = np.argsort(labels, kind="stable")
    train, test = by_label[for_training], by_label[~for_training]
    return Splits(_in_order(digits, train), _in_order(digits, test), tuple("0123456789"))


def _file() -> Path:
    package = find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    raise DataError(
        "scikit-learn's digits are not on this machine; pip install '.[app]' in a checkout of "
        "samar brings them."
    )


def _in_order(digits: ImageSet, chosen: np.ndarray) -> ImageSet:
    return digits.subset(torch.from_numpy(np.sort(chosen)))
