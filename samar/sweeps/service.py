"""What a person can do with sweeps; the browser and the command line both call exactly this."""

from samar.errors import RunError
from samar.jobs.job import Job
from samar.jobs.local import schedule
from samar.jobs.service import Jobs
from samar.sweeps import driver
from samar.sweeps.spec import SweepSpec
from samar.sweeps.store import EARLY, Sweep, SweepStore


class Sweeps:
    """Start, watch, hold and remove sweeps."""

    def __init__(self, jobs: Jobs | None = None) -> None:
        self.jobs = jobs or Jobs()
        self.store = SweepStore(self.jobs.store)

    def start(self, spec: SweepSpec) -> str:
        """Begin a sweep and return its id; see :meth:`samar.jobs.service.Jobs.submit`."""
        return self.jobs.submit(spec)

    def get(self, sweep_id: str) -> Sweep:
        """One sweep as it stands now.

        Raises:
            RunError: there is no such sweep.
        """
        self.jobs.look_after()
        return self.store.get(sweep_id)

    def all(self) -> list[Sweep]:
        """All sweeps, newest first."""
        self.jobs.look_after()
        return self.store.all()

    def members(self, sweep: Sweep) -> list[Job]:
        """The sweep's runs, in order of creation."""
        return self.store.members(sweep)

    def done(self, sweep: Sweep) -> float:
        """How many members are over, those that train counted by the share of their steps."""
        training = self.store.training(sweep) if sweep.training else []
        return sweep.ended + sum(run.done / run.total for run in training if run.total)

    def pause(self, sweep_id: str) -> None:
        """Start no further member; the one that trains comes to its end."""
        self._ask(sweep_id, "paused", ("running",))

    def stop(self, sweep_id: str) -> None:
        """Start no further member and stop the one that trains after its current step."""
        sweep = self._ask(sweep_id, "stopped", ("running", "paused"))
        for run in self.members(sweep):
            if run.status in ("running", "paused"):
                self.jobs.stop(run.id)

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
        driver.resume(self.jobs.store, sweep)
        schedule(self.jobs.store)

    def delete(self, sweep_id: str) -> None:
        """Remove a sweep with all its members and their files.

        Raises:
            RunError: a member still trains.
        """
        sweep = self.store.get(sweep_id)
        if sweep.training:
            raise RunError(f"Sweep {sweep.id} has members that train; stop it before deleting it.")
        self.store.set_status(sweep, "stopped")
        if sweep.spec.sampler == "tpe":
            from samar.sweeps.search import forget

            forget(self.jobs.store, sweep)
        self.jobs.delete(sweep.id)

    def _ask(self, sweep_id: str, status: str, allowed: tuple[str, ...]) -> Sweep:
        sweep = self.store.get(sweep_id)
        if sweep.status not in allowed:
            raise RunError(
                f"Sweep {sweep.id} is {sweep.state}; only one that is {' or '.join(allowed)} can "
                f"be {status}."
            )
        self.store.set_status(sweep, status)
        return sweep
