"""Random and Bayesian search, done by Optuna.

The search's history lies in Optuna's own tables in the database of the runs, under the sweep's id,
where other programs for Optuna can read it. The runs themselves say what was tried: a setting is
drawn from a copy of the history in memory and becomes runs in one transaction, so that a process
killed at any moment leaves neither a trial without runs nor runs without a trial.

Bayesian search is the tree-structured Parzen estimator. It maximizes the validation accuracy of
the last epoch, averaged over the seeds; a setting that diverged counts as 0, one that failed not at
all.

Reference:
    Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011.
    Akiba et al., "Optuna", KDD 2019, arXiv 1907.10902.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import StorageInternalError
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from samar.errors import ConfigError, SamarError
from samar.jobs.job import SKIPPED, Job
from samar.jobs.store import Store
from samar.sweeps.spec import MEMBER_DEFAULTS, SweepSpec
from samar.sweeps.values import SETTINGS, same_setting
from samar.training.settings import TrainSettings

DRAWS = 50
"""How often a setting that was tried before is drawn again before the space counts as exhausted."""
SETTING = "setting"
"""Optuna user attribute: which setting of ours a trial is."""

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
        setting = _next(spec, (), settings)
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
    store: Store,
    sweep: Job,
    settings: Mapping[str, Sequence[Job]],
    ended: Mapping[str, Sequence[Job]],
    limit: int,
) -> list[TrainSettings] | None:
    """Learn from what ended and choose new settings until ``limit`` are open.

    Args:
        settings: the members, by their setting.
        ended: those of them whose members have all come to their end.

    Returns:
        The new settings; None if another process writes and the search has to wait.
    """
    spec: SweepSpec = sweep.settings
    try:
        history = _learn(store, sweep, ended)
    except (SQLAlchemyError, StorageInternalError):
        return None
    tried = [runs[0].settings for runs in settings.values()]
    new: list[TrainSettings] = []
    while len(tried) + len(new) < spec.trials and len(settings) - len(ended) + len(new) < limit:
        setting = _next(spec, history, [*tried, *new])
        if setting is None:
            break
        new.append(setting)
    return new


def forget(store: Store, sweep: Job) -> None:
    """Delete a sweep's history from Optuna's tables."""
    with _storage(store) as storage:
        names = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
        if _study_name(sweep.id) in names:
            optuna.delete_study(study_name=_study_name(sweep.id), storage=storage)


def _learn(store: Store, sweep: Job, ended: Mapping[str, Sequence[Job]]) -> Sequence[FrozenTrial]:
    """Bring Optuna's tables up to date and return the trials, each setting once.

    A setting that failed is told again once it was resumed and came to a value.
    """
    with _storage(store) as storage:
        study = optuna.create_study(
            study_name=_study_name(sweep.id),
            storage=storage,
            direction="maximize",
            load_if_exists=True,
        )
        known = {t.user_attrs.get(SETTING): t.state for t in study.get_trials(deepcopy=False)}
        for setting, runs in ended.items():
            if known.get(setting, TrialState.FAIL) is TrialState.FAIL:
                told = _told(sweep.settings, setting, runs)
                if told.state is not known.get(setting):
                    study.add_trial(told)
        return list({t.user_attrs.get(SETTING): t for t in study.get_trials()}.values())


def _told(spec: SweepSpec, setting: str, runs: Sequence[Job]) -> FrozenTrial:
    """What became of a setting, as Optuna has it."""
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
        user_attrs={SETTING: setting, "runs": [run.id for run in runs]},
    )


def _next(
    spec: SweepSpec, history: Sequence[FrozenTrial], tried: Sequence[TrainSettings]
) -> TrainSettings | None:
    """A setting that was not tried, or ``None`` if none is found.

    A setting drawn once more is told once more, so that the search turns to others.
    """
    seen = {same_setting(config) for config in tried}
    known = {trial.user_attrs[SETTING]: trial.value for trial in history}
    study = _in_memory(TPESampler(seed=_seed(spec, len(tried))), history)
    for trial, (config,) in _draws(study, spec, DRAWS):
        setting = same_setting(config)
        if setting not in seen:
            return config
        value = known.get(setting)
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


def _in_memory(sampler: BaseSampler, history: Sequence[FrozenTrial]) -> optuna.Study:
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.add_trials(history)
    return study


def _seed(spec: SweepSpec, tried: int) -> int:
    """A seed for the next draw that depends on how much was tried and on what the spec tries.

    A spec read back from its own command has the same.
    """
    asked = spec.model_dump(mode="json", exclude={"name"}) | {"base": spec.changes}
    return zlib.crc32(f"{json.dumps(asked, sort_keys=True)} {tried}".encode())


def _study_name(sweep_id: str) -> str:
    return f"samar-{sweep_id}"


@contextmanager
def _storage(store: Store) -> Iterator[RDBStorage]:
    """Optuna's tables in the database of the runs."""
    url = store.database.engine.url
    wait = {"connect_args": {"timeout": 15}} if url.get_backend_name() == "sqlite" else {}
    storage = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=wait)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
