"""The one check of every number handed to this package, and of what is built by its name."""

import math
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, TypeVar

from samar.optim.catalog import OptimizerSettings, RuleInfo, SecondPassInfo
from samar.settings.declare import settings_of

Part = TypeVar("Part")
CONSTANTS = settings_of(OptimizerSettings)
"""The constants of λ rules and policies among them, with defaults and bounds."""


def default_of(constant: str) -> float:
    """The default of a constant of a λ rule or of a policy of the second gradient."""
    return float(CONSTANTS[constant].default)


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


def plain_numbers(value: Any) -> Any:
    """Python's own number of one that is not, such as NumPy's, in a tuple too; else `value`."""
    if type(value) is tuple:
        return tuple(plain_numbers(each) for each in value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def check_constants(part: Any, catalog: Mapping[str, RuleInfo | SecondPassInfo]) -> None:
    """Check the constants of a λ rule or a policy, where the catalog lists it, and keep floats.

    Raises:
        TypeError, ValueError: as `checked_number`.
    """
    if part.name in catalog:
        for constant in catalog[part.name].constants:
            info, value = CONSTANTS[constant], getattr(part, constant)
            assert info.low is not None
            assert info.high is not None
            number = checked_number(f"{part.name}.{constant}", value, info.low, info.high)
            object.__setattr__(part, constant, number)


def build_named(
    types: Mapping[str, type[Part]],
    name: str,
    constants: Mapping[str, float],
    unknown: str,
    it: str,
) -> Part:
    """Build a λ rule or a policy from its name; constants left out keep their defaults.

    Args:
        unknown, it: how the messages call it where there is none of that name, and where there is.

    Raises:
        ValueError: If the name or a constant is unknown, or a constant is out of range.
    """
    if name not in types:
        raise ValueError(f"{unknown}; choose one of {', '.join(types)}")
    kind: Any = types[name]
    known = [field.name for field in fields(kind)]
    if wrong := sorted(set(constants) - set(known)):
        raise ValueError(
            f"{it} has no constant {', '.join(wrong)}; it takes {', '.join(known) or 'none'}"
        )
    built: Part = kind(**constants)
    return built
