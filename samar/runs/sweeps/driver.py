"""What keeps sweeps going: called whenever runs are tended, by whichever process tends them."""

from collections.abc import Mapping, Sequence

from samar.runs.row import Run
from samar.runs.store import Store
from samar.runs.sweeps.store import EARLY, ENDED, SKIPPED, Sweep, SweepStore, by_setting


def drive(store: Store, limit: int) -> None:
    """Skip what diverged, choose the next settings of adaptive sweeps, note which are finished.

    Args:
        limit: how many runs train at once; an adaptive sweep has as many open settings.
    """
    sweeps = SweepStore(store)
    for sweep in sweeps.all("running"):
        if sweep.status != "running":
            continue
        if sweep.spec.skip_diverged and sweep.counts.get("diverged") and sweep.counts.get("queued"):
            _skip_diverged(store, by_setting(sweeps.members(sweep)))
        if sweep.spec.sampler == "tpe":
            if _goes_on(sweeps, sweep, limit):
                continue
        elif sweep.ended < sweep.members:
            continue
        sweeps.set_status(sweep, "finished", only="running")


def _skip_diverged(store: Store, settings: Mapping[str, Sequence[Run]]) -> None:
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
    from samar.runs.sweeps.search import search  # Optuna, only for those who use it

    return search(sweeps, sweep, settings, limit)


def can_resume(sweep: Sweep, members: Sequence[Run]) -> bool:
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


def _ended_early(run: Run) -> bool:
    return run.status in EARLY and run.message != SKIPPED
