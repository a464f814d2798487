"""What a person can do with runs; the browser and the command line both call exactly this."""

import shutil
import time
from collections.abc import Sequence
from typing import Any

from samar.data import require_data
from samar.errors import RunError
from samar.runs.config import RunConfig
from samar.runs.launcher import max_runs, tend
from samar.runs.paths import config_path, run_dir
from samar.runs.store import HELD, Run, Store
from samar.training import settings_of

TEND_SECONDS = 1.0


class Runs:
    """Start, watch, steer and remove runs."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self._tended = 0.0

    def start(self, config: RunConfig) -> str:
        """Queue a run, start it if there is room, and return its id.

        Raises:
            DataError: its images are not on this machine.
            ConfigError: ``SAMAR_MAX_RUNS`` is not a number.
        """
        max_runs()
        require_data(config.dataset)
        run_id = self.store.create(config)
        tend(self.store)
        return run_id

    def get(self, run_id: str) -> Run:
        """One run as it stands now, dead workers noticed.

        Raises:
            RunError: there is no such run.
        """
        self.look_after()
        return self.store.get(run_id)

    def all(self) -> list[Run]:
        """All runs, newest first."""
        self.look_after()
        return self.store.all()

    def look_after(self) -> None:
        """Tend the runs, at most once a second: looking at them often should not write as often."""
        if time.monotonic() - self._tended > TEND_SECONDS:
            tend(self.store)
            self._tended = time.monotonic()

    def pause(self, run_id: str) -> None:
        """Hold a run after its current step; its place is free for another run."""
        self._post(run_id, "pause", ("running",))

    def step(self, run_id: str) -> None:
        """Let a paused run take one step."""
        self._post(run_id, "step", ("paused",))

    def stop(self, run_id: str) -> None:
        """End a run after its current step; it can be resumed."""
        run = self.store.get(run_id)
        if not self.store.move(run, "stopped", "Stopped before it began.", only=("queued",)):
            self._post(run_id, "stop", HELD)

    def resume(self, run_id: str) -> None:
        """Let a paused run go on, or start one again that ended early, from its saved state."""
        run = self.get(run_id)
        if run.status == "paused":
            self.store.mailbox.post(run.key, "resume")
        else:
            self.store.requeue(run)
            tend(self.store)

    def change(self, run_id: str, **values: Any) -> None:
        """Change live settings of a run that trains or is paused.

        Raises:
            ConfigError: a value is out of bounds, or the setting cannot change in mid-run.
        """
        run = self.store.get(run_id)
        run.config.model_copy(update=self.live_values(run)).changed_live(**values)
        self._post(run_id, "change", HELD, **values)

    def live_values(self, run: Run) -> dict[str, Any]:
        """Live settings as they are now: the config's, with every change by hand applied."""
        values = {n: getattr(run.config, n) for n, s in settings_of(RunConfig).items() if s.live}
        for event in self.store.series.events(run.key):
            if event.kind == "change":
                values |= event.detail
        return values

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name."""
        self.store.rename(run_id, name)
        run = self.store.get(run_id)
        if config_path(run.id).is_file():
            config_path(run.id).write_text(run.config.model_dump_json(indent=2), encoding="utf-8")

    def pin(self, run_id: str, pinned: bool = True) -> None:
        """Keep a run at the top of lists, or no longer."""
        self.store.mark(run_id, pinned=pinned)

    def tag(self, run_id: str, tags: Sequence[str]) -> None:
        """Give a run these tags instead of those it had."""
        self.store.mark(run_id, tags=tags)

    def delete(self, run_id: str) -> None:
        """Remove a run, its records and its files.

        Raises:
            RunError: it still trains.
        """
        run = self.store.get(run_id)
        self.store.delete(run.id)
        shutil.rmtree(run_dir(run.id), ignore_errors=True)

    def _post(self, run_id: str, command: str, allowed: tuple[str, ...], **detail: Any) -> None:
        run = self.store.get(run_id)
        if run.status not in allowed:
            raise RunError(
                f"Run {run.id} is {run.status}; "
                f"{command} needs a run that is {' or '.join(allowed)}."
            )
        self.store.mailbox.post(run.key, command, **detail)
