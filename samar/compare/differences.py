"""The settings by which runs differ, as far as they had an effect."""

from collections.abc import Sequence
from typing import Any

from samar.data.catalog import dataset_info
from samar.settings.declare import Setting, settings_of
from samar.training.settings import TrainSettings

NOT_USED = "not used"
"""Stands for a setting that the run's optimizer or λ rule does not have."""

OPEN = {"images_per_class": "all", "lam_held": "free"}
"""What it means that a setting is empty."""

KEEPING = ("run", "measurements")
"""Groups of settings that change no number of the training."""


def used(config: TrainSettings) -> dict[str, Any]:
    """The settings that decide a run's numbers."""
    return {
        name: getattr(config, name)
        for name, known in settings_of(TrainSettings).items()
        if known.group not in KEEPING and config.applies(name)
    }


def differences(configs: Sequence[TrainSettings]) -> dict[str, list[Any]]:
    """Settings that are not the same in all configs, each with one value per config.

    A config that does not use a setting has :data:`NOT_USED` there, which alone is no difference:
    that SGD has no radius follows from its name.
    """
    columns = [used(config) for config in configs]
    found = {}
    for name in settings_of(TrainSettings):
        values = [column.get(name, NOT_USED) for column in columns]
        if len({value for value in values if value != NOT_USED}) > 1:
            found[name] = values
    return found


def shown(value: Any, known: Setting | None = None) -> str:
    """A setting's value for people: a choice by its title, a folder by its last part."""
    if known is not None and known.choices is not None and value in known.choices:
        return known.choices[value]
    if known is not None and known.name == "dataset" and value not in (None, NOT_USED):
        return dataset_info(value).title
    if value is None:
        return OPEN.get(known.name, "none") if known is not None else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
