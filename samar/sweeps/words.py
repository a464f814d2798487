"""A sweep in the words of the command line: ``rho=0.02,0.05``, ``rho=0.01:1:log``."""

import shlex
from collections.abc import Iterable
from typing import Any

from samar.errors import ConfigError
from samar.sweeps.spec import MEMBER_DEFAULTS, OPTIONS, SweepSpec
from samar.sweeps.values import SETTINGS, Condition, Range, require_setting


def parse_grid(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """``["rho=0.02,0.05"]`` as ``{"rho": ("0.02", "0.05")}``.

    Raises:
        ConfigError: a word has another form.
    """
    return {name: parse_values(text) for name, text in map(_split, words)}


def parse_values(text: str) -> tuple[str, ...]:
    """The values in a list with commas."""
    return tuple(part for value in text.split(",") if (part := value.strip()))


def parse_ranges(words: Iterable[str]) -> dict[str, Range]:
    """``["rho=0.01:1:log"]`` as ``{"rho": Range(low=0.01, high=1, log=True)}``.

    Raises:
        ConfigError: a word has another form.
    """
    return {name: parse_range(name, text) for name, text in map(_split, words)}


def parse_range(name: str, text: str) -> Range:
    """``0.01:1:log`` as a range of a setting.

    Raises:
        ConfigError: the text has another form.
    """
    parts = text.split(":")
    try:
        low, high = float(parts[0]), float(parts[1])
        if parts[2:] not in ([], ["log"]):
            raise ValueError
        return Range(low=low, high=high, log=len(parts) == 3)
    except (ValueError, IndexError):
        raise ConfigError(
            f"The range of {name} is {text!r}; write it as low:high or low:high:log, such as "
            "0.01:1:log."
        ) from None


def parse_conditions(words: Iterable[str]) -> tuple[Condition, ...]:
    """``["optimizer=sgd:weight_decay=5e-4"]`` as conditions; commas separate several settings.

    Raises:
        ConfigError: a word has another form.
    """
    return tuple(_condition(word) for word in words)


def _condition(word: str) -> Condition:
    match, colon, then = word.rpartition(":")
    if not colon:
        raise ConfigError(
            f"The condition {word!r} has no colon; write it as setting=value:setting=value, such "
            "as optimizer=sgd:weight_decay=5e-4."
        )
    return Condition(
        match=dict(_split(part) for part in match.split(",")),
        then=dict(_split(part) for part in then.split(",")),
    )


def _split(word: str) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not text.strip():
        raise ConfigError(f"{word!r} names no values; write it as setting=value,value.")
    require_setting(name)
    return name, text.strip()


def command_line(spec: SweepSpec) -> str:
    """The command that starts the same sweep again."""
    words = ["python -m samar sweep"]
    for name, values in spec.grid.items():
        words.append("--grid " + shlex.quote(f"{name}={','.join(map(_plain, values))}"))
    words += [f"--range {name}={interval}" for name, interval in spec.ranges.items()]
    words += [f"--when {shlex.quote(str(condition))}" for condition in spec.conditions]
    for name, known in OPTIONS.items():
        value = getattr(spec, name)
        if value == known.default or (name == "trials" and spec.sampler == "grid"):
            continue
        words.append(_option(name, value))
    for name, value in spec.base.items():
        if value != MEMBER_DEFAULTS.get(name, SETTINGS[name].default):
            words.append(_option(name, value))
    return " ".join(words)


def _option(name: str, value: Any) -> str:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {shlex.quote(_plain(value))}"


def _plain(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def as_text(values: tuple[Any, ...] | Range) -> str:
    """Values or a range as a person types them into one field."""
    return str(values) if isinstance(values, Range) else ", ".join(map(_plain, values))
