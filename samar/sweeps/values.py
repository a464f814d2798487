"""Values of settings within a sweep: read as the command line writes them (``rho=0.02,0.05``,
``rho=0.01:1:log``), checked, compared, put into words.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from samar.data.catalog import dataset_info
from samar.errors import ConfigError
from samar.optim.catalog import OPTIMIZERS
from samar.settings.command import plain
from samar.settings.declare import readable, settings_of
from samar.training.settings import TrainSettings

SETTINGS = settings_of(TrainSettings)
TASK = ("dataset", "model", "label_noise", "images_per_class", "halved")
"""Settings that say what is learned by what; accuracies are compared only where these agree."""


class Range(BaseModel):
    """An interval to draw from, evenly in the value or in its logarithm."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        ends = (plain(end).removesuffix(".0") for end in (self.low, self.high))
        return ":".join(ends) + (":log" if self.log else "")


class Condition(BaseModel):
    """Settings that come with others: where ``match`` holds, ``then`` is set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: dict[str, Any]
    then: dict[str, Any]

    def __str__(self) -> str:
        parts = (self.match, self.then)
        return ":".join(",".join(f"{n}={v}" for n, v in part.items()) for part in parts)

    def words(self) -> str:
        """The condition as half a sentence."""
        match, then = (
            " and ".join(f"{SETTINGS[n].label} is {v}" for n, v in part.items())
            for part in (self.match, self.then)
        )
        return f"{match}, {then}"


def require_setting(name: str) -> None:
    """Make sure that a setting exists.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in SETTINGS:
        raise ConfigError(f"There is no setting called {name!r}; see --help for the list.")


def worded(name: str, value: Any) -> str:
    """A value with the name of its setting, unless it speaks for itself."""
    known = SETTINGS[name]
    if known.choices is not None:
        return known.choices.get(value, str(value))
    return f"{known.label} {value:g}" if known.kind in (int, float) else f"{known.label} {value}"


def same_setting(config: TrainSettings) -> str:
    """What the seeds of one setting have in common and has an effect, as text to compare."""
    idle = {name for name in SETTINGS if not config.applies(name)}
    return json.dumps(config.model_dump(exclude={"seed", "name", *idle}), sort_keys=True)


def distinct(configs: Iterable[TrainSettings]) -> list[TrainSettings]:
    """The configs without those that repeat an earlier setting."""
    return list({same_setting(config): config for config in reversed(list(configs))}.values())[::-1]


def gradient_evaluations(config: TrainSettings) -> int | None:
    """Forward-backward passes over a batch that a run will take; ``None`` for unknown images."""
    info = dataset_info(config.dataset)
    images = info.train
    if config.images_per_class is not None and info.classes is not None:
        chosen = info.classes * config.images_per_class
        images = chosen if images is None else min(images, chosen)
    if images is None:
        return None
    images -= round(images * config.validation)
    full, rest = divmod(images, config.batch_size)
    steps = max(full + (rest > 1), 1) * config.epochs
    return steps * OPTIMIZERS[config.optimizer].gradients_per_step


def typed(name: str, value: Any) -> Any:
    """The value as the setting's own type, within its bounds.

    Raises:
        ConfigError: it does not fit.
    """
    require_setting(name)
    if name == "dataset":
        return TrainSettings.parse({name: value}).dataset
    try:
        typed = getattr(_alone(name)(**{name: value}), name)
    except ValidationError as error:
        raise readable(error) from None
    known = SETTINGS[name]
    if known.choices is not None and not known.open_ended and typed not in known.choices:
        allowed = ", ".join(known.choices)
        raise ConfigError(f"{name} is {value!r}, but it must be one of: {allowed}.")
    return typed


@cache
def _alone(name: str) -> type[BaseModel]:
    """A model with one field of ``TrainSettings``, to check a value without the others."""
    field = TrainSettings.model_fields[name]
    fields: Any = {name: (field.annotation, field)}
    return create_model("One", **fields)


def interval_fits(name: str, interval: Range) -> None:
    """Make sure that a setting can be drawn from an interval.

    Raises:
        ConfigError: it cannot.
    """
    if SETTINGS[name].kind not in (int, float):
        raise ConfigError(f"{name} is no number, so it has no range; list its values instead.")
    if not interval.low < interval.high:
        raise ConfigError(
            f"The range of {name} runs from {interval.low:g} to {interval.high:g}; "
            "the first number must be the smaller one."
        )
    if interval.log and interval.low <= 0:
        raise ConfigError(
            f"The range of {name} starts at {interval.low:g}, which has no logarithm; "
            "start above 0."
        )
    for end in (interval.low, interval.high):
        typed(name, end)


def parse_grid(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """``["rho=0.02,0.05"]`` as ``{"rho": ("0.02", "0.05")}``.

    Raises:
        ConfigError: a word has another form.
    """
    return {name: parse_values(text) for name, text in _once(words)}


def parse_values(text: str) -> tuple[str, ...]:
    """The values in a list with commas.

    Raises:
        ConfigError: its decimals have commas too.
    """
    values = tuple(part for value in text.split(",") if (part := value.strip()))
    if values.count("0") > 1 or any(re.match(r"[+-]?0\d", value) for value in values):
        raise ConfigError(
            f"The values are {text.strip()!r}, but a comma ends a value; write decimals with a "
            "point, such as 0.05."
        )
    return values


def parse_ranges(words: Iterable[str]) -> dict[str, Range]:
    """``["rho=0.01:1:log"]`` as ``{"rho": Range(low=0.01, high=1, log=True)}``.

    Raises:
        ConfigError: a word has another form.
    """
    return {name: parse_range(name, text) for name, text in _once(words)}


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


def _once(words: Iterable[str]) -> list[tuple[str, str]]:
    """Each setting with its text; none stands twice."""
    found = list(map(_split, words))
    for place, (name, _) in enumerate(found):
        if name in dict(found[:place]):
            raise ConfigError(f"{name} is given twice; put its values into one list.")
    return found


def parse_condition(word: str) -> Condition:
    """``optimizer=sgd:weight_decay=5e-4`` as a condition; commas separate several settings.

    Raises:
        ConfigError: the word has another form.
    """
    match, *rest = re.split(r":(?=\s*[\w-]+\s*=)", word, maxsplit=1)
    if not rest:
        raise ConfigError(
            f"The condition {word!r} has no colon; write it as setting=value:setting=value, such "
            "as optimizer=sgd:weight_decay=5e-4."
        )
    return Condition(
        match=dict(_split(part) for part in match.split(",")),
        then=dict(_split(part) for part in rest[0].split(",")),
    )


def _split(word: str) -> tuple[str, str]:
    name, equals, text = word.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not text.strip():
        raise ConfigError(f"{word!r} names no values; write it as setting=value,value.")
    require_setting(name)
    return name, text.strip()


def as_text(values: tuple[Any, ...] | Range) -> str:
    """Values or a range as a person types them into one field."""
    return str(values) if isinstance(values, Range) else ", ".join(map(plain, values))
