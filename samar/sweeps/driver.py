"""What keeps sweeps going: called whenever jobs are tended, by whichever process tends them."""

from collections.abc import Mapping, Sequence

from samar.jobs.job import Job
from samar.jobs.kind import LONG
from samar.jobs.local import slots
from samar.jobs.store import Store
from samar.sweeps.spec import SweepSpec
from samar.sweeps.store import EARLY, ENDED, SKIPPED, Sweep, SweepStore, by_setting
from samar.training.settings import TrainSettings


def advance(store: Store, limit: int) -> None:
    """Begin new sweeps, skip what diverged, choose next settings, note which are finished.

    Args:
        limit: how many runs train at once; an adaptive sweep has as many open settings.
    """
    sweeps = SweepStore(store)
    for sweep in sweeps.all("running"):
        if sweep.job.total is None and not sweep.members:
            sweeps.extend(sweep, sweep.spec.repeated(first_settings(sweep.spec)))
            continue
        if sweep.spec.skip_diverged and sweep.counts.get("diverged") and sweep.counts.get("queued"):
            _skip_diverged(store, by_setting(sweeps.members(sweep)))
        if sweep.spec.sampler == "tpe":
            if _goes_on(sweeps, sweep, limit):
                continue
        elif sweep.ended < sweep.members:
            continue
        sweeps.set_status(sweep, "finished", only="running")


def first_settings(spec: SweepSpec) -> list[TrainSettings]:
    """The settings with which a sweep begins: all of them, except for a Bayesian search.

    Raises:
        ConfigError: values do not fit together.
    """
    if spec.sampler == "grid":
        return spec.settings()
    from samar.sweeps import search  # Optuna, only for those who use it

    return search.drawn(spec) if spec.sampler == "random" else search.first(spec, slots(LONG))


def _skip_diverged(store: Store, settings: Mapping[str, Sequence[Job]]) -> None:
    for members in settings.values():
        if any(run.status == "diverged" for run in members):
            for run in members:
                store.move(run, "stopped", SKIPPED, only=("queued",))


def _goes_on(sweeps: SweepStore, sweep: Sweep, limit: int) -> bool:
    """Let an adaptive sweep choose its next settings, if it is time."""
    settings = by_setting(sweeps.members(sweep))
    opened = sum(any(r.status not in ENDED for r in runs) for runs in settings.values())
    if opened >= limit:
        return True
    from samar.sweeps.search import search

    return search(sweeps, sweep, settings, limit)


def can_resume(sweep: Sweep, members: Sequence[Job]) -> bool:
    """Whether resuming a sweep would change anything."""
    if sweep.status == "stopped" and sweep.training:
        return False  # what is about to stop could not be told from what was stopped by hand
    return sweep.status in ("paused", "stopped") or any(map(_ended_early, members))


def resume(store: Store, sweep: Sweep) -> None:
    """Let a sweep go on, and queue again every member that ended early and can go on."""
    sweeps = SweepStore(store)
    for run in filter(_ended_early, sweeps.members(sweep)):
        store.move(run, "queued", only=(run.status,))
    sweeps.set_status(sweep, "running")


def _ended_early(run: Job) -> bool:
    return run.status in EARLY and run.message != SKIPPED
