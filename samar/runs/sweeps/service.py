"""What a person can do with sweeps; the browser and the command line both call exactly this."""

from samar.data import require_data
from samar.errors import RunError
from samar.runs.config import RunConfig
from samar.runs.launcher import max_runs, tend
from samar.runs.row import Run
from samar.runs.service import Runs
from samar.runs.sweeps import driver
from samar.runs.sweeps.spec import SweepSpec
from samar.runs.sweeps.store import EARLY, Sweep, SweepStore


class Sweeps:
    """Start, watch, hold and remove sweeps."""

    def __init__(self, runs: Runs | None = None) -> None:
        self.runs = runs or Runs()
        self.store = SweepStore(self.runs.store)

    def start(self, spec: SweepSpec) -> str:
        """Queue a sweep's members, start the first if there is room, and return its id.

        Raises:
            DataError: images are not on this machine.
            ConfigError: values do not fit together, or ``SAMAR_MAX_RUNS`` is not a number.
        """
        settings = first_settings(spec)
        for dataset in dict.fromkeys(config.dataset for config in settings):
            require_data(dataset)
        sweep_id = self.store.create(spec, spec.repeated(settings))
        tend(self.runs.store)
        return sweep_id

    def get(self, sweep_id: str) -> Sweep:
        """One sweep as it stands now.

        Raises:
            RunError: there is no such sweep.
        """
        self.runs.look_after()
        return self.store.get(sweep_id)

    def all(self) -> list[Sweep]:
        """All sweeps, newest first."""
        self.runs.look_after()
        return self.store.all()

    def members(self, sweep: Sweep) -> list[Run]:
        """The sweep's runs, in order of creation."""
        return self.store.members(sweep)

    def done(self, sweep: Sweep) -> float:
        """How many members are over, those that train counted by the share of their steps."""
        training = self.store.training(sweep) if sweep.training else []
        return sweep.ended + sum(run.step / run.total_steps for run in training if run.total_steps)

    def pause(self, sweep_id: str) -> None:
        """Start no further member; the one that trains comes to its end."""
        self._ask(sweep_id, "paused", ("running",))

    def stop(self, sweep_id: str) -> None:
        """Start no further member and stop the one that trains after its current step."""
        sweep = self._ask(sweep_id, "stopped", ("running", "paused"))
        for run in self.members(sweep):
            if run.status in ("running", "paused"):
                self.runs.stop(run.id)

    def can_resume(self, sweep: Sweep) -> bool:
        """Whether resuming a sweep would change anything."""
        early = any(sweep.counts.get(status) for status in EARLY)
        return driver.can_resume(sweep, self.members(sweep) if early else ())

    def resume(self, sweep_id: str) -> None:
        """Let a sweep go on; members that were stopped, failed or lost go on from what they saved.

        Raises:
            RunError: there is nothing to resume.
        """
        sweep = self.get(sweep_id)
        if sweep.status == "stopped" and sweep.training:
            raise RunError(f"Sweep {sweep.id} is still stopping; resume it in a moment.")
        if not self.can_resume(sweep):
            raise RunError(f"Sweep {sweep.id} is {sweep.state}; there is nothing to resume.")
        driver.resume(self.runs.store, sweep)
        tend(self.runs.store)

    def delete(self, sweep_id: str) -> None:
        """Remove a sweep with all its members and their files.

        Raises:
            RunError: a member still trains.
        """
        sweep = self.store.get(sweep_id)
        if sweep.training:
            raise RunError(f"Sweep {sweep.id} has members that train; stop it before deleting it.")
        self.store.set_status(sweep, "stopped")
        for run in self.members(sweep):
            self.runs.delete(run.id)
        if sweep.spec.sampler == "tpe":
            from samar.runs.sweeps.search import forget

            forget(self.runs.store, sweep)
        self.store.delete(sweep)

    def _ask(self, sweep_id: str, status: str, allowed: tuple[str, ...]) -> Sweep:
        sweep = self.store.get(sweep_id)
        if sweep.status not in allowed:
            raise RunError(
                f"Sweep {sweep.id} is {sweep.state}; only one that is {' or '.join(allowed)} can "
                f"be {status}."
            )
        self.store.set_status(sweep, status)
        return sweep


def first_settings(spec: SweepSpec) -> list[RunConfig]:
    """The settings with which a sweep begins: all of them, except for a Bayesian search.

    Raises:
        ConfigError: values do not fit together.
    """
    if spec.sampler == "grid":
        return spec.settings()
    from samar.runs.sweeps import search

    return search.drawn(spec) if spec.sampler == "random" else search.first(spec, max_runs())
