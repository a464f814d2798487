"""Random and Bayesian search and pruning, done by Optuna.

The runs themselves say what was tried and what came out: Optuna's history is made from them anew
whenever settings are chosen, so that a search goes on wherever a process was killed.

Bayesian search is the tree-structured Parzen estimator. It maximizes the validation accuracy of
the last epoch, averaged over the seeds; a setting that diverged counts as 0, one that failed not at
all.

Reference:
    Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011.
    Golovin et al., "Google Vizier", KDD 2017: the median stopping rule.
    Akiba et al., "Optuna", KDD 2019, arXiv 1907.10902.
"""

import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import MedianPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from samar.errors import ConfigError, SamarError
from samar.jobs.job import SKIPPED, Job
from samar.sweeps.spec import MEMBER_DEFAULTS, SweepSpec
from samar.sweeps.values import SETTINGS, same_setting
from samar.training.settings import TrainSettings

DRAWS = 50
"""How often a setting that was tried before is drawn again before the space counts as exhausted."""
FIRST_RUNS = 4
"""So many must have come to their end before another is pruned."""
FIRST_EPOCHS = 0.2
"""The share of its epochs that every run gets."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


def drawn(spec: SweepSpec) -> list[TrainSettings]:
    """As many different settings as the spec asks for, drawn at random by its seed.

    Raises:
        ConfigError: no setting was found whose values fit together.
    """
    settings: dict[str, TrainSettings] = {}
    seen: set[str] = set()
    study = _in_memory(RandomSampler(seed=_seed(spec, 0)), ())
    for _, arms in _draws(study, spec, DRAWS * spec.trials):
        seen.add(same_setting(arms[0]))
        for arm in arms:
            settings.setdefault(same_setting(arm), arm)
        if len(seen) == spec.trials:
            break
    return _some(list(settings.values()), spec)


def first(spec: SweepSpec, limit: int) -> list[TrainSettings]:
    """The settings with which a Bayesian search begins.

    Raises:
        ConfigError: no setting was found whose values fit together.
    """
    settings: list[TrainSettings] = []
    while len(settings) < min(limit, spec.trials):
        setting = _next(spec, {}, settings)
        if setting is None:
            break
        settings.append(setting)
    return _some(settings, spec)


def _some(settings: list[TrainSettings], spec: SweepSpec) -> list[TrainSettings]:
    if not settings:
        raise ConfigError(
            "No setting was found whose values fit together; check the values of "
            f"{', '.join(spec.varied)}."
        )
    return settings


def search(
    spec: SweepSpec,
    settings: Mapping[str, Sequence[Job]],
    ended: Mapping[str, Sequence[Job]],
    limit: int,
) -> list[TrainSettings]:
    """New settings, chosen by what ended, until ``limit`` are open.

    Args:
        settings: the members, by their setting.
        ended: those of them whose members have all come to their end.
    """
    history = {setting: trial_of(spec, runs) for setting, runs in ended.items()}
    tried = [runs[0].settings for runs in settings.values()]
    new: list[TrainSettings] = []
    while len(tried) + len(new) < spec.trials and len(settings) - len(ended) + len(new) < limit:
        setting = _next(spec, history, [*tried, *new])
        if setting is None:
            break
        new.append(setting)
    return new


def trial_of(spec: SweepSpec, runs: Sequence[Job]) -> FrozenTrial:
    """The result of a setting's runs, all of which have ended, as Optuna has it."""
    config = runs[0].settings
    follows = spec.following(config.model_dump())
    names = [n for n in spec.varied if config.applies(n) and n not in follows]
    params = {n: v for n in names if _possible(spec, n, v := getattr(config, n))}
    space = _space(spec)
    value: float | None = None
    pruned = any(run.message.startswith(SKIPPED) and run.last_epoch for run in runs)
    if any(run.edits for run in runs):
        value = None  # it says nothing about the setting
    elif any(run.status == "diverged" for run in runs):
        value = 0.0
    elif all((run.status == "finished" or pruned) and run.last_epoch for run in runs):
        value = sum(r.last_epoch.val_accuracy for r in runs if r.last_epoch) / len(runs)
    measured = TrialState.PRUNED if pruned else TrialState.COMPLETE
    reached = max((r.last_epoch.epoch for r in runs if r.last_epoch), default=0)
    return create_trial(
        state=TrialState.FAIL if value is None else measured,
        value=value,
        intermediate_values={reached: value} if pruned and value is not None else None,
        params=params,
        distributions={name: space[name] for name in params},
    )


def _next(
    spec: SweepSpec, history: Mapping[str, FrozenTrial], tried: Sequence[TrainSettings]
) -> TrainSettings | None:
    """A setting that was not tried, or ``None`` if none is found.

    A setting drawn once more is told once more, so that the search turns to others.
    """
    seen = {same_setting(config) for config in tried}
    study = _in_memory(TPESampler(seed=_seed(spec, len(tried))), history.values())
    for trial, (config,) in _draws(study, spec, DRAWS):
        setting = same_setting(config)
        if setting not in seen:
            return config
        value = history[setting].value if setting in history else None
        study.tell(trial, value, TrialState.FAIL if value is None else None)
    return None


def _draws(
    study: optuna.Study, spec: SweepSpec, most: int
) -> Iterator[tuple[optuna.Trial, list[TrainSettings]]]:
    """At most so many draws with their arms; values that do not fit together are drawn again."""
    space, defaults = _space(spec), TrainSettings()
    for _ in range(most):
        trial = study.ask()
        try:
            arms = spec.arms(_suggest(trial, spec, space, defaults))
        except SamarError:
            continue
        yield trial, arms


def _suggest(
    trial: optuna.Trial,
    spec: SweepSpec,
    space: Mapping[str, BaseDistribution],
    defaults: TrainSettings,
) -> dict[str, Any]:
    """Draw values for the settings that have an effect under those drawn before.

    What a condition sets is not drawn; one about a setting that is still to be drawn waits for it.
    """
    chosen = dict[str, Any]()
    for name in spec.varied:
        drawn = {**MEMBER_DEFAULTS, **spec.base, **chosen}
        follows = spec.following(dict.fromkeys(spec.varied, ...) | drawn)
        if name in follows or not defaults.model_copy(update=drawn | follows).applies(name):
            continue
        match space[name]:
            case CategoricalDistribution(choices=choices):
                chosen[name] = trial.suggest_categorical(name, choices)
            case IntDistribution(low=low, high=high, log=log):
                chosen[name] = trial.suggest_int(name, low, high, log=log)
            case FloatDistribution(low=low, high=high, log=log):
                value = trial.suggest_float(name, low, high, log=log)
                # Four digits, so that a person can read and repeat it.
                chosen[name] = min(max(float(f"{value:.4g}"), low), high)
    return chosen


def _space(spec: SweepSpec) -> dict[str, BaseDistribution]:
    space: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(values) for name, values in spec.grid.items()
    }
    for name, interval in spec.ranges.items():
        low, high = interval.low, interval.high
        if SETTINGS[name].kind is int:
            space[name] = IntDistribution(int(low), int(high), log=interval.log)
        else:
            space[name] = FloatDistribution(low, high, log=interval.log)
    return space


def _possible(spec: SweepSpec, name: str, value: Any) -> bool:
    """Whether a value can be drawn."""
    if name in spec.grid:
        return value in spec.grid[name]
    return bool(spec.ranges[name].low <= value <= spec.ranges[name].high)


def _in_memory(sampler: BaseSampler, history: Iterable[FrozenTrial]) -> optuna.Study:
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.add_trials(history)
    return study


def _seed(spec: SweepSpec, tried: int) -> int:
    """A seed for the next draw that depends on how much was tried and on what the spec tries.

    A spec read back from its own command has the same.
    """
    asked = spec.model_dump(mode="json", exclude={"name"}) | {"base": spec.changes}
    return zlib.crc32(f"{json.dumps(asked, sort_keys=True)} {tried}".encode())


def hopeless(
    running: Mapping[str, Mapping[int, float]],
    ended: Sequence[Mapping[int, float]],
    epochs: int,
) -> list[str]:
    """The names of runs to stop, by Optuna's median pruner.

    A run whose best validation accuracy so far is below the median of what the others had at the
    same epoch is hopeless. The first runs, and the first epochs of each, are never pruned.

    Args:
        running: validation accuracies by epoch, of each that trains; NaN tells nothing.
        ended: the same of those that came to their end, pruned ones included.
        epochs: of a whole run.
    """
    first = math.ceil(FIRST_EPOCHS * epochs)
    pruner = MedianPruner(FIRST_RUNS, n_warmup_steps=first + 1)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for values in filter(None, map(_finite, ended)):
        last = values[max(values)]
        study.add_trial(
            create_trial(state=TrialState.COMPLETE, value=last, intermediate_values=values)
        )
    found = []
    for name, values in zip(running, map(_finite, running.values()), strict=True):
        trial = study.ask()
        for epoch, value in values.items():
            trial.report(value, epoch)
        if values and trial.should_prune():
            found.append(name)
        study.tell(trial, state=TrialState.FAIL)  # it is no measure for the others
    return found


def _finite(values: Mapping[int, float]) -> dict[int, float]:
    return {epoch: value for epoch, value in values.items() if not math.isnan(value)}
