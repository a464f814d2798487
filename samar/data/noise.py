"""Symmetric label noise.

Exactly round(rate · n) of n labels, chosen without replacement, are replaced by one of the other
classes, each as likely. Many papers draw from all classes instead, so that a share 1 / classes of
their "noisy" labels stays right; here the rate is the share of labels that are wrong.

Reference:
    Zhang, Bengio, Hardt, Recht, Vinyals, "Understanding deep learning requires rethinking
    generalization", ICLR 2017, arXiv 1611.03530 (partially corrupted labels).
"""

import torch
from torch import Tensor

from samar.data.randomness import Purpose, generator
from samar.errors import ConfigError


def with_label_noise(labels: Tensor, rate: float, *, classes: int, seed: int) -> tuple[Tensor, int]:
    """Return a copy of the labels with some wrong ones, and how many are wrong.

    Args:
        labels: int64 (n,).
        rate: share of labels to replace, from 0 to 1.
        classes: number of classes.
        seed: decides which labels become what.

    Raises:
        ConfigError: ``rate`` is not between 0 and 1.
    """
    if not 0 <= rate <= 1:
        raise ConfigError(f"The label noise is {rate:g}; choose a share between 0 and 1.")
    rng = generator(seed, Purpose.LABEL_NOISE)
    wrong = round(rate * len(labels))
    where = torch.from_numpy(rng.permutation(len(labels))[:wrong])
    step = torch.from_numpy(rng.integers(1, classes, size=wrong))
    noisy = labels.clone()
    noisy[where] = (labels[where] + step) % classes
    return noisy, wrong
