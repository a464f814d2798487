"""Values of settings within a sweep: checked, put into words, compared."""

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from samar.data.catalog import dataset_info
from samar.errors import ConfigError
from samar.optim.catalog import OPTIMIZERS
from samar.settings.declare import readable, settings_of
from samar.training.settings import TrainSettings

SETTINGS = settings_of(TrainSettings)


class Range(BaseModel):
    """An interval to draw from, evenly in the value or in its logarithm."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}" + (":log" if self.log else "")


class Condition(BaseModel):
    """Settings that come with others: where ``match`` holds, ``then`` is set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: dict[str, Any]
    then: dict[str, Any]

    def __str__(self) -> str:
        return ":".join(",".join(f"{n}={v}" for n, v in p.items()) for p in (self.match, self.then))

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
    """What the seeds of one setting have in common, as text to compare."""
    return json.dumps(config.model_dump(exclude={"seed", "name"}), sort_keys=True)


def distinct(configs: Iterable[TrainSettings]) -> list[TrainSettings]:
    """The configs without those that repeat an earlier setting."""
    return list({same_setting(config): config for config in reversed(list(configs))}.values())[::-1]


def gradient_evaluations(config: TrainSettings) -> int | None:
    """Forward-backward passes over a batch that a run will take; ``None`` for unknown images."""
    info = dataset_info(config.dataset)
    images = info.train
    if config.images_per_class is not None and info.classes is not None:
        images = info.classes * config.images_per_class
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
        typed(name, int(end) if SETTINGS[name].kind is int else end)
