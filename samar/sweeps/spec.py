"""What a sweep tries: the settings that vary, how they are sampled, and how often each is repeated.

Importing this imports neither torch nor Optuna.
"""

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, ClassVar

from pydantic import Field, model_validator
from typing_extensions import Self

from samar.errors import ConfigError
from samar.optim.catalog import OPTIMIZERS
from samar.settings.command import PROGRAM, option_word, option_words, plain
from samar.settings.declare import setting, settings_of
from samar.settings.job import JobSettings
from samar.sweeps.values import (
    SETTINGS,
    Condition,
    Range,
    distinct,
    interval_fits,
    require_setting,
    typed,
    worded,
)
from samar.training.settings import DECIDING, TrainSettings

FIXED = ("name", "seed", "validation")
"""Settings that a sweep itself gives to its members."""
MEMBER_DEFAULTS: dict[str, Any] = {"validation": 0.2, "snapshots": 0}
"""What the members of a sweep have unless the base says otherwise."""
MOST_MEMBERS = 10_000

Values = Mapping[str, Any]


class SweepSpec(JobSettings):
    """A sweep; frozen, validated, round-trips through JSON.

    The fields made with ``setting`` are options on the command line.

    Attributes:
        base: settings of every member that differ from the defaults.
        grid: values to try, by setting.
        ranges: intervals to draw from, by setting.
        conditions: settings that follow from others, such as a learning rate for one model.
    """

    kind: ClassVar[str] = "sweep"

    name: str = setting("", "A name for the sweep.", group="sweep")
    seeds: int = setting(
        3,
        "Runs of each setting, with seeds that follow one another; the same seed gives the same "
        "initial weights and data order whatever the optimizer.",
        group="sweep",
        ge=1,
        le=100,
    )
    sampler: str = setting(
        "grid",
        "How settings are chosen: every combination, at random, or by Bayesian search (Optuna's "
        "tree-structured Parzen estimator), which learns from the validation accuracy.",
        group="sweep",
        choices=lambda: {"grid": "grid", "random": "random", "tpe": "Bayesian"},
    )
    trials: int = setting(
        20,
        "Settings to draw at random or by Bayesian search.",
        group="sweep",
        ge=1,
        le=MOST_MEMBERS,
        when=lambda s: s.sampler != "grid",
    )
    equal_gradients: bool = setting(
        False,
        "Also try optimizers of one gradient a step, such as SGD, with twice the epochs, so that "
        "they spend as many gradient evaluations as the others.",
        group="sweep",
        label="SGD also with twice the epochs",
    )
    skip_diverged: bool = setting(
        True,
        "Once a setting diverged with one seed, do not try its other seeds.",
        group="sweep",
        label="skip what diverged",
    )

    prune: bool = setting(
        False,
        "Stop a run whose validation accuracy stays below the median that others had at the same "
        "epoch (Optuna's median pruner), from the fifth run on; only runs that learn the same for "
        "equally many epochs are compared.",
        group="sweep",
        label="stop what is hopeless",
    )

    base: dict[str, Any] = Field(default_factory=dict)
    grid: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    ranges: dict[str, Range] = Field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            self._check()
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def _check(self) -> None:
        conditional = [n for c in self.conditions for n in (*c.match, *c.then)]
        for name in (*self.grid, *self.ranges, *conditional):
            if name in FIXED:
                raise ConfigError(f"{name} cannot vary within a sweep; the sweep sets it itself.")
            require_setting(name)
        for name in self.ranges:
            interval_fits(name, self.ranges[name])
            if name in self.grid:
                raise ConfigError(f"{name} has both values and a range; give one of them.")
        if self.sampler != "grid" and not self.varied:
            raise ConfigError(
                f"The sampler {self.sampler} has nothing to draw; give values (grid) or a range of "
                "at least one setting."
            )
        if self.sampler == "grid" and self.ranges:
            raise ConfigError(
                f"{next(iter(self.ranges))} is a range, which a grid cannot try out; list its "
                "values, or choose the sampler random or tpe."
            )
        base = {n: typed(n, v) for n, v in self.base.items() if n not in self.varied}
        grid = {n: tuple(dict.fromkeys(typed(n, v) for v in vs)) for n, vs in self.grid.items()}
        conditions = tuple(
            Condition(
                **{
                    part: {n: typed(n, v) for n, v in values.items()}
                    for part, values in condition.model_dump().items()
                }
            )
            for condition in self.conditions
        )
        object.__setattr__(self, "conditions", conditions)
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "grid", grid)
        for name, values in self.grid.items():
            if not values:
                raise ConfigError(f"{name} has no values; give at least one.")
        if self.sampler == "tpe" and self.equal_gradients:
            raise ConfigError(
                "Bayesian search compares settings at equal epochs; leave out equal-gradients, or "
                "choose the sampler grid or random."
            )
        needs_validation = self.sampler == "tpe" or self.prune
        if needs_validation and not (MEMBER_DEFAULTS | self.base)["validation"]:
            what = "Bayesian search" if self.sampler == "tpe" else "Stopping what is hopeless"
            raise ConfigError(f"{what} needs held-out images; choose a validation share above 0.")
        grid_size = math.prod(len(values) for values in self.grid.values())
        size = self.seeds * (grid_size if self.sampler == "grid" else self.trials)
        if size > MOST_MEMBERS:
            raise ConfigError(
                f"The sweep has {size:,} runs; at most {MOST_MEMBERS:,} are allowed, so take fewer "
                "values, trials or seeds."
            )
        typed("seed", self.base.get("seed", 0) + self.seeds - 1)
        if self.sampler == "grid":
            self.settings()

    @property
    def changes(self) -> dict[str, Any]:
        """The settings of the base that members would not have anyway."""
        usual = {n: MEMBER_DEFAULTS.get(n, SETTINGS[n].default) for n in self.base}
        return {name: value for name, value in self.base.items() if value != usual[name]}

    @property
    def varied(self) -> tuple[str, ...]:
        """Names of the settings that vary, those that decide about others first."""
        names = [*self.grid, *self.ranges]
        return tuple(sorted(names, key=lambda name: name not in DECIDING))

    def config(self, chosen: Values) -> TrainSettings:
        """The first seed's config for chosen values of the varied settings.

        A setting that has no effect under the chosen optimizer goes back to the base, so that two
        choices that differ only there are the same config.

        Raises:
            ConfigError: the values do not fit, or not together.
        """
        whole = MEMBER_DEFAULTS | self.base | dict(chosen)
        whole |= self.following(whole)
        config = TrainSettings.parse(whole)
        idle = [name for name in SETTINGS if name in whole and not config.applies(name)]
        return config.changed(**{name: SETTINGS[name].default for name in idle}) if idle else config

    def following(self, values: Values) -> dict[str, Any]:
        """What the conditions set under values; a setting that is left out has its default."""
        then = dict[str, Any]()
        for condition in self.conditions:
            whole = {**values, **then}
            if all(whole.get(n, SETTINGS[n].default) == v for n, v in condition.match.items()):
                then |= condition.then
        return then

    def used(self, name: str) -> bool:
        """Whether a setting of the base has an effect in some member."""
        base = TrainSettings().model_copy(update=self.base)  # need not fit without what varies
        follow = {n: (v,) for each in self.conditions for n, v in each.then.items()}
        tried = [(*self.grid.get(n, (getattr(base, n),)), *follow.get(n, ())) for n in DECIDING]
        return any(
            base.model_copy(update=dict(zip(DECIDING, values, strict=True))).applies(name)
            for values in product(*tried)
        )

    def arms(self, chosen: Values) -> list[TrainSettings]:
        """The config of chosen values, and a longer one if gradient evaluations are equalized."""
        config = self.config(chosen)
        if not self.equal_gradients or OPTIMIZERS[config.optimizer].gradients_per_step != 1:
            return [config]
        return [config, config.changed(epochs=2 * config.epochs)]

    def settings(self) -> list[TrainSettings]:
        """Every different setting of a grid, at the first seed.

        Raises:
            ConfigError: a combination of values does not fit together.
        """
        return distinct(arm for chosen in self._combinations() for arm in self.arms(chosen))

    def _combinations(self) -> Iterator[dict[str, Any]]:
        names = self.varied
        for values in product(*(self.grid[name] for name in names)):
            yield dict(zip(names, values, strict=True))

    def repeated(self, settings: Iterable[TrainSettings]) -> list[TrainSettings]:
        """Each setting with each seed, named, one seed of all settings after the other."""
        settings = list(settings)
        first = self.base.get("seed", 0)
        return [
            setting.changed(seed=seed, name=f"{self.label(setting)} · seed {seed}"[:80])
            for seed in range(first, first + self.seeds)
            for setting in settings
        ]

    def values(self, config: TrainSettings) -> dict[str, Any]:
        """The varied settings of a member; ``None`` for one that has no effect in it."""
        shown = {n: getattr(config, n) if config.applies(n) else None for n in self.varied}
        if self.equal_gradients:
            shown["epochs"] = config.epochs
        return shown

    @property
    def described(self) -> str:
        """What is varied."""
        return " × ".join(SETTINGS[name].label for name in self.varied) or "repeated seeds"

    @property
    def command(self) -> str:
        """The command that starts the same sweep again."""
        words = [f"{PROGRAM} sweep"]
        for name, values in self.grid.items():
            words.append("--grid " + shlex.quote(f"{name}={','.join(map(plain, values))}"))
        words += [f"--range {name}={interval}" for name, interval in self.ranges.items()]
        words += [f"--when {shlex.quote(str(condition))}" for condition in self.conditions]
        words += option_words(self, without=("trials",) if self.sampler == "grid" else ())
        words += [option_word(SETTINGS[name], value) for name, value in self.changes.items()]
        return " ".join(words)

    def label(self, config: TrainSettings) -> str:
        """A setting in a few words, such as ``sam · radius ρ 0.05``."""
        words = [
            worded(name, value) for name, value in self.values(config).items() if value is not None
        ]
        return " · ".join(words) or config.described.removesuffix(f" · seed {config.seed}")


OPTIONS = settings_of(SweepSpec)
