"""Which members of a sweep are hopeless, by Optuna's median pruner.

A run whose best validation accuracy so far is below the median of what the others had at the same
epoch is stopped, and its place is free for another. The first runs, and the first epochs of each,
are never pruned.

Reference:
    Golovin et al., "Google Vizier", KDD 2017: the median stopping rule.
    Akiba et al., "Optuna", KDD 2019, arXiv 1907.10902.
"""

import math
from collections.abc import Mapping, Sequence

import optuna
from optuna.pruners import MedianPruner
from optuna.trial import TrialState, create_trial

FIRST_RUNS = 4
"""So many must have come to their end before another is pruned."""
FIRST_EPOCHS = 0.2
"""The share of its epochs that every run gets."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


def hopeless(
    running: Mapping[str, Mapping[int, float]],
    ended: Sequence[Mapping[int, float]],
    epochs: int,
) -> list[str]:
    """The names of those that are to be stopped.

    Args:
        running: validation accuracies by epoch, of each that trains; NaN tells nothing.
        ended: the same of those that came to their end, pruned ones included.
        epochs: of a whole run.
    """
    first = math.ceil(FIRST_EPOCHS * epochs)
    pruner = MedianPruner(FIRST_RUNS, n_warmup_steps=first + 1)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for values in filter(None, map(_known, ended)):
        last = values[max(values)]
        study.add_trial(
            create_trial(state=TrialState.COMPLETE, value=last, intermediate_values=values)
        )
    found = []
    for name, values in zip(running, map(_known, running.values()), strict=True):
        trial = study.ask()
        for epoch, value in values.items():
            trial.report(value, epoch)
        if values and trial.should_prune():
            found.append(name)
        study.tell(trial, state=TrialState.FAIL)  # it is no measure for the others
    return found


def _known(values: Mapping[int, float]) -> dict[int, float]:
    return {epoch: value for epoch, value in values.items() if not math.isnan(value)}
