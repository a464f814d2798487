"""Every reading that was tried before the defaults were set, each on the settings it was tried on.

All on one seed that no final run uses, with a fifth of the training images held out, and judged by
their accuracy there. Constants are spelled out, since defaults may change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DIGITS = ("digits_clean", "digits_noise20", "digits_noise40")


@dataclass(frozen=True)
class Reading:
    """Settings, and the radii they were tried with on each task."""

    changes: Mapping[str, Any]
    radii: Mapping[str, tuple[float, ...]]


def _wide(rule: str, lam_min: float, beta: float, **constants: float) -> dict[str, Any]:
    common = {"optimizer": "samar", "lam": 1.0, "lam_max": 20.0, "lam_min": lam_min, "beta": beta}
    return {**common, "rule": rule, **constants}


def _band(lam_min: float, beta: float = 0.9, **other: float) -> dict[str, Any]:
    constants = {"tau": 0.05, "up": 1.05, "down": 1.02, "memory": 100.0, **other}
    return _wide("trend", lam_min, beta, **constants)


def _pull(gain: float, **other: Any) -> dict[str, Any]:
    return {**_wide("trend_power", 0.25, 0.9, gain=gain, memory=100.0), **other}


NOISY = "digits_noise40"
EXPLORED = {
    "sgd": Reading({"optimizer": "sgd"}, dict.fromkeys((*DIGITS, "cifar"), (0.2,))),
    "sam": Reading(
        {"optimizer": "sam"},
        {
            **dict.fromkeys(DIGITS, (0.05, 0.2, 0.5, 1.0)),
            "cifar": (0.05, 0.2),
            "digits_long": (0.5,),
        },
    ),
    "fixed": Reading(
        {"optimizer": "samar", "rule": "fixed", "lam": 3.0}, dict.fromkeys(DIGITS, (0.2,))
    ),
    "dead_band": Reading(
        {
            **_wide("dead_band", 0.1, 0.0, tau=0.1, up=1.05, down=1.02),
            "lam_max": 3.0,
        },
        {NOISY: (0.2,), "cifar": (0.2,), "digits_long": (0.2,)},
    ),
    "power4_floor1": Reading(_wide("power", 1.0, 0.95, gamma=4.0), dict.fromkeys(DIGITS, (0.05,))),
    "power4": Reading(_wide("power", 0.25, 0.95, gamma=4.0), {NOISY: (0.2,), "cifar": (0.2,)}),
    "power6": Reading(_wide("power", 0.25, 0.95, gamma=6.0), {NOISY: (0.2,)}),
    "power8": Reading(_wide("power", 0.25, 0.98, gamma=8.0), {NOISY: (0.05, 0.2), "cifar": (0.2,)}),
    "trend_floor1": Reading(_band(1.0), {NOISY: (0.05, 0.2, 0.5), "digits_clean": (0.05, 0.5)}),
    "trend": Reading(
        _band(0.25),
        {
            NOISY: (0.05, 0.2, 0.5),
            "digits_clean": (0.2,),
            "cifar": (0.2,),
            "digits_long": (0.2,),
        },
    ),
    "trend_slow_fall": Reading(_band(1.0, down=1.01), {NOISY: (0.05,), "cifar": (0.05,)}),
    "trend_long": Reading(
        _band(1.0, tau=0.1, down=1.01, memory=200.0), {NOISY: (0.05,), "digits_clean": (0.05,)}
    ),
    "trend_symmetric": Reading(_band(0.25, 0.95, down=1.05), {NOISY: (0.05, 0.2), "cifar": (0.2,)}),
    "trend_power8": Reading(
        _pull(0.08), {NOISY: (0.05, 0.2), "digits_clean": (0.2,), "cifar": (0.2,)}
    ),
    "trend_power12": Reading(_pull(0.12), {NOISY: (0.2,)}),
    "trend_power20": Reading(
        _pull(0.2),
        {NOISY: (0.05, 0.2), "digits_noise20": (0.2,), "digits_clean": (0.2,), "cifar": (0.2,)},
    ),
    "trend_power20_ceiling10": Reading(
        _pull(0.2, lam_max=10.0),
        {**dict.fromkeys((*DIGITS, "cifar"), (0.5,)), "digits_long": (0.2,)},
    ),
    "trend_power20_start2": Reading(_pull(0.2, lam=2.0, lam_max=10.0), {NOISY: (0.05, 0.2)}),
}
