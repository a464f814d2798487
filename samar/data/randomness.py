"""Randomness without a state to save.

Every draw comes from a fresh generator whose seed is the run's seed, the purpose and a position:
the order of epoch e depends on (seed, ORDER, e) alone, the augmentation of step s on
(seed, AUGMENTATION, s) alone. A run that resumes at step s therefore continues exactly as if it
had never stopped, and the same seed gives the same images on every device.
"""

from enum import IntEnum

import numpy as np

from samar.errors import ConfigError


class Purpose(IntEnum):
    """What random numbers are for; keeps the streams of one seed apart."""

    ORDER = 0
    AUGMENTATION = 1
    LABEL_NOISE = 2


def generator(seed: int, purpose: Purpose, position: int = 0) -> np.random.Generator:
    """Return the generator that belongs to a seed, a purpose and a position.

    Raises:
        ConfigError: ``seed`` is negative.
    """
    if seed < 0:
        raise ConfigError(f"The seed is {seed}, but it must not be negative; choose 0 or more.")
    return np.random.default_rng((seed, purpose, position))
