"""The one check that every number handed to this package goes through."""

import math
from numbers import Real


def checked_number(name: str, value: object, low: float, high: float = math.inf) -> float:
    """Return `value` as a float if it is a finite number within [low, high].

    Raises:
        TypeError: If it is not a real number.
        ValueError: If it is not finite or lies outside the range.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}; pass a float")
    number = float(value)
    if not (math.isfinite(number) and low <= number <= high):
        allowed = f"between {low:g} and {high:g}" if high < math.inf else f"at least {low:g}"
        raise ValueError(
            f"{name} must be finite and {allowed}, got {value!r}; choose a value in that range"
        )
    return number
