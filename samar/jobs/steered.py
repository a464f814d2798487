"""Work that takes step after step and is steered meanwhile: paused, stepped, edited, saved."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from samar.errors import ConfigError
from samar.jobs.edits import BY, EDITS, FROM_FILE, ONLY, PlannedEdit, planned, still_planned
from samar.jobs.engine.local import slots
from samar.jobs.job import resume_path
from samar.jobs.kind import LONG
from samar.jobs.outbox import JobLost
from samar.jobs.pace import PACE
from samar.jobs.records import CHANGE, OBEYED, Event, Order
from samar.jobs.work import Stopped, Work

PAUSED_SECONDS, HELD_SECONDS = 0.1, 0.02
"""From one look at what a work waits for to the next, while it is paused and while it is held."""


class Steered:
    """Takes step after step until the work is over, and obeys orders between them.

    Subclasses say what a step is, whether more are left, and how to write down and save.

    Attributes:
        resuming: whether it was told to go on after a pause, and waits for its place.
        waiting: orders that were read and not yet carried out, in order, with whom they are for.
        edits: those that the job was given, by the steps after which they are due.
        observing: hands weights to the work's observer, see ``samar.training.observing``; None
            where nothing is measured.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.paused = self.resuming = False
        self.single_steps = 0
        self.observing: Any = None
        self.waiting: list[tuple[Order, Steered]] = []
        self.edits: dict[int, list[PlannedEdit]] = {}
        self._flushed = 0.0  # the first step is shown at once
        self._saved = time.monotonic()

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        raise NotImplementedError

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step completed a pass over the images."""
        raise NotImplementedError

    @property
    def taken(self) -> int:
        """Steps taken so far."""
        raise NotImplementedError

    @property
    def most(self) -> int:
        """Steps of the whole job."""
        raise NotImplementedError

    def run(self) -> None:
        """Step, record and obey until the work is over.

        Raises:
            Stopped, Diverged, JobLost: it ended early.
            ConfigError: it is to be edited after its end.
        """
        self.begin()
        self._expect_edits()
        self.obey()
        while not self.finished and not self.work.stopping:
            if self.work.ordered:
                self.flush()
                self.obey()
            if self.work.lost:
                raise JobLost
            if self.paused and not self.single_steps:
                self.work.wait(PAUSED_SECONDS)
                if self.resuming and not self.work.stopping:
                    self._wait_for_place()
                continue
            if self.held:
                self.work.wait(HELD_SECONDS)
                continue
            self.step()
            self.single_steps = max(0, self.single_steps - 1)
            due = time.monotonic() - self._flushed > self.work.interval or self.taken in self.edits
            ending = self.work.stopping or self.finished
            if due or self.paused or self.at_epoch_end or ending:
                self.flush()
                self._flushed = time.monotonic()
                if self.at_epoch_end:
                    self.evaluate()
                patience = self.work.job.settings.checkpoint_seconds
                if not self.finished and self._flushed - self._saved > patience:
                    self.save()
            if self.taken in self.edits:
                self.obey()
            self.observe()
        if self.work.ordered and not self.finished:  # before it was told to stop
            self.flush()
            self.obey()
        self.end()

    @property
    def held(self) -> bool:
        """Whether the next step has to wait for the observer, or for its time."""
        return self.observing is not None and self.observing.behind(self.taken)

    def observe(self) -> None:
        """Let the observer see the weights after a step, when it is recorded and evaluated."""
        if self.observing is not None:
            self.observing.step_taken(self.taken)
            if self.paused:
                self.observing.rest(self.taken)

    def attend(self) -> None:
        """Carry out what was ordered meanwhile; called between the parts of an evaluation.

        Raises:
            Stopped: it was told to stop.
        """
        if self.work.ordered:
            self.obey()
        if self.work.stopping and not self.finished:
            raise Stopped

    def begin(self) -> None:
        """Do what comes before the first step."""

    def step(self) -> None:
        """Take one step."""
        raise NotImplementedError

    def flush(self) -> None:
        """Record what happened since the last flush."""
        raise NotImplementedError

    def evaluate(self) -> None:
        """Called when an epoch has ended."""

    def save(self) -> None:
        """Write the state from which the work resumes."""
        raise NotImplementedError

    def _save(self, write: Callable[[Path], object], *others: Work) -> None:
        """Write the state from which the work resumes; without room the one before stays.

        So it does while the store is away: a state must not be ahead of its records.

        Args:
            others: whose records belong to it too.
        """
        if not all(each.write_down() for each in (self.work, *others)):
            return
        path = resume_path(self.work.job.id)
        try:
            write(path)
        except OSError as error:
            self.work.miss(path.name, error)
        self._saved = time.monotonic()

    def end(self) -> None:
        """Do what comes after the last step."""
        raise NotImplementedError

    def tell(self, kind: str, **detail: Any) -> None:
        """Record an event of this moment."""
        self.note(self.taken, kind, **detail)

    def carry_out(self, order: Order) -> None:
        """Obey an order that is not about the steps themselves."""
        raise NotImplementedError

    def look(self) -> None:
        """Read new orders."""
        self.waiting += [(order, self) for order in self.work.orders()]

    def obey(self) -> None:
        """Carry out the orders since the last call, and the edits that are due now."""
        self.look()
        for edit in self.edits.pop(self.taken, ()):
            detail = edit.values | {BY: FROM_FILE} | ({ONLY: edit.only} if edit.only else {})
            self.waiting.append((Order(0, self.work.job.key, CHANGE, detail, time.time()), self))
        obeyed = 0
        while self.waiting:
            order, whom = self.waiting.pop(0)
            whom.follow(order)
            obeyed = max(obeyed, order.key)
        if obeyed:
            self.work.summarize(**{OBEYED: [obeyed, self.taken]})
            self.work.write_down()

    def _expect_edits(self) -> None:
        """Look up which of the job's edits are still to be made."""
        events = self.work.store.records.events(self.work.job.key)
        for edit in still_planned(planned(self.work.job.inputs), events):
            if edit.step > self.most:
                raise ConfigError(
                    f"The edit at step {edit.step} is beyond the last, {self.most}; take it out of "
                    "the file, or train for more epochs."
                )
            if edit.step >= self.taken:
                self.edits.setdefault(edit.step, []).append(edit)

    def count_edits(self, events: Sequence[Event]) -> None:
        """Put on the job's row how often it was edited; a kill may have lost some."""
        edits = sum(event.kind == CHANGE for event in events)
        if edits or self.work.summary.get(EDITS):
            self.work.summarize(**{EDITS: edits})

    def note_edit(self, detail: Mapping[str, Any]) -> None:
        """Record an edit of this moment."""
        self.note(self.taken, CHANGE, **detail)
        if self.observing is not None:
            self.observing.edited(self.taken)
        self.work.summarize(**{EDITS: self.work.summary.get(EDITS, 0) + 1})

    def note(self, step: int, kind: str, **detail: Any) -> None:
        """Record an event of this job alone."""
        self.work.emit(kind, step, **detail)
        self.work.write_down()

    def follow(self, order: Order) -> None:
        """Carry out one order."""
        match order.command:
            case "pause":
                if not self.paused and not self.finished:
                    self.paused = True
                    self.save()
                    self.work.surely(self.work.store.move, self.work.job, "paused")
                    self.tell("paused")
                    if self.observing is not None:
                        self.observing.rest(self.taken)
                elif self.resuming:
                    self.resuming = False
                    self.work.surely(self.work.store.move, self.work.job, "paused")
            case "resume":
                if self.paused:
                    self._wait_for_place()
            case "step":
                self.single_steps += self.paused
            case "measure" if self.observing is not None:
                self.observing.want(self.taken)
            case "pace" if self.observing is not None:
                self.observing.set_pace(str(order.detail[PACE]))
            case _:
                self.carry_out(order)

    def _wait_for_place(self) -> None:
        """Go on if there is a place; else try again at the next look for orders."""
        self.resuming = True
        with suppress(OperationalError):  # the store is away
            self.paused = not self.work.store.unpause(self.work.job, slots(LONG))
        if not self.paused:
            self.resuming = False
            self.tell("resumed")
