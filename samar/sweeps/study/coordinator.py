"""Makes the study's runs as jobs, one phase after the other, and writes each down as it ends.

A row that is in the table already is not made again, so a study goes on where it was left; a run
whose settings and seed equal those of a finished row of another arm or phase is copied from it,
since on a CPU it would repeat it bit for bit.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from samar.data.presence import require_data
from samar.device.catalog import precision_in
from samar.errors import RunError, SamarError
from samar.jobs.job import ACTIVE, HELD, UNREADABLE, Job
from samar.jobs.kind import kind_of
from samar.jobs.records import Event, insert_events
from samar.jobs.sql import schema
from samar.jobs.store import BEGUN, Store, new_row
from samar.settings.command import json_line
from samar.sweeps.spec import UNMEASURED
from samar.sweeps.study import protocol
from samar.sweeps.study.protocol import Trial, trials
from samar.sweeps.study.rows import NAN, SETTINGS, Row, append_row, read_rows
from samar.sweeps.study.settings import StudySettings
from samar.training.settings import TrainSettings

CURVATURE = {
    "top": 1,
    "tol": 1e-2,
    "images": protocol.CURVATURE_IMAGES,
    "split": "train",
    "trace": True,
    "trace_products": 30,
}
"""What is measured of the Hessian at the end of a final run."""
SAID = "said"
"""Kind of the events that hold a sentence about a row."""


def prepare(store: Store, settings: StudySettings) -> Mapping[str, Any]:
    """Make sure that the images are there and that the table can be read and is nobody else's."""
    for images in filter(None, (settings.images, settings.large)):
        require_data(images)
    rows = read_rows(settings.table)
    for name in dict(settings.parts()).get("final", []):
        short = protocol.TASKS[name].tuned_on
        waiting = [
            arm
            for arm in settings.arms or protocol.ARMS
            if protocol.ARMS[arm].takes_part(name) and protocol.chosen(rows, name, arm) is None
        ]
        if waiting and short and short not in dict(settings.parts()).get("tune", []):
            raise RunError(
                f"The setting {name!r} takes over what {short!r} chose, which is not in "
                f"{settings.table.name} for {', '.join(waiting)}; add --setting {short}."
            )
    for other in store.all("study", status=HELD):
        if other.settings.out == settings.out:
            raise RunError(
                f"Study {other.id} writes to {settings.table.name} already; stop it, or choose "
                "another --out."
            )
    return {}


def advance(store: Store, limit: int) -> None:
    """Take every study that runs further, if one of its jobs has ended.

    Args:
        limit: how many runs train at once.
    """
    for job in store.all("study", status=("running",)):
        if job.status == UNREADABLE:
            continue
        counts = store.counts([job.id]).get(job.id, {})
        opened = sum(counts.get(status, 0) for status in ACTIVE)
        ended = sum(counts.values()) - opened
        if opened and ended == job.summary.get("ended"):
            continue
        try:
            _take_further(store, job, limit - opened, ended)
        except (SamarError, OSError) as error:
            store.move(job, "failed", str(error))


def _take_further(store: Store, job: Job, free: int, ended: int) -> None:
    """Write down what ended and open new jobs, in one transaction.

    It begins by writing to the study's own row, which locks it: of several processes that come
    here at once, one adds to the table. A row that was added before the process died is known by
    its key.
    """
    table = schema.jobs
    own = table.update().where((table.c.key == job.key) & (table.c.status == "running"))
    with store.database.write() as db:
        if not db.execute(own.values(heartbeat=time.time())).rowcount:
            return
        move = _Move(store, job, free)
        end = move.make()
        insert_events(db, job.key, move.said)
        if move.opened:
            db.execute(table.insert(), move.opened)
        known = job.summary.get("since") == job.started
        begun = job.summary[BEGUN] if known else move.done  # rows of before take no more time
        summary = json_line({"ended": ended, "since": job.started, BEGUN: begun})
        db.execute(own.values(done=move.done, total=move.total, summary=summary, **end))


class _Move:
    """One move of a study: adds rows to its table, and says what else is to be done.

    Attributes:
        done, total: runs that are in the table, of all that are planned.
        said: sentences about the new rows, as events.
        opened: rows of the store for new jobs.
    """

    def __init__(self, store: Store, job: Job, free: int) -> None:
        self.store, self.job, self.free = store, job, free
        self.settings: StudySettings = job.settings
        self.rows = read_rows(self.settings.table)
        members = [m for m in store.all(parent=job.id)[::-1] if m.status != UNREADABLE]
        # An edited run answers another question; the one that was asked is asked again.
        self.runs = {_question(m.settings): m for m in members if m.kind == "train" and not m.edits}
        self.curvatures = {m.settings.network: m for m in members if m.kind == "curvature"}
        self.waits = any(member.active for member in members)
        self.done = self.total = 0
        self.said: list[Event] = []
        self.opened: list[dict[str, Any]] = []
        self._begun: set[str] = set()
        self._obstacle = ""
        hours = self.settings.hours or math.inf
        self._over = time.time() - (job.started or 0) > 3600 * hours

    def make(self) -> dict[str, Any]:
        """Go through the phases up to the first that is not complete.

        Returns:
            Columns of the study's own row, if it has come to an end.
        """
        complete = True
        for phase, names in self.settings.parts():
            planned = self._planned(phase, names)
            self.total += max(len(planned), self._finals(names) if phase == "final" else 0)
            missing = [trial for trial in planned if complete and not self._is_made(trial)]
            complete = complete and not missing
        if complete:
            return {"status": "finished", "message": "", "finished": time.time()}
        if self.waits or self.opened:
            return {}
        status, message = "failed", self._obstacle
        if not message:
            status = "stopped"
            message = f"The {self.settings.hours or 0:g} hours are over; start again to go on."
        return {"status": status, "message": message, "finished": time.time()}

    def _planned(self, phase: str, names: Sequence[str]) -> list[Trial]:
        """All settings of a seed before the next seed, so that a study cut short is a whole one."""
        found = [
            trial
            for name in names
            for trial in trials(phase, name, self.rows, self.settings.images_of(name))
            if not self.settings.arms or trial.arm in self.settings.arms
        ]
        return sorted(found, key=lambda trial: trial.config.seed)

    def _finals(self, names: Sequence[str]) -> int:
        """How many final runs there will be once every arm is tuned."""
        return sum(
            len(protocol.FINAL_SEEDS[protocol.TASKS[name].family])
            for name in names
            for arm in self.settings.arms or protocol.ARMS
            if protocol.ARMS[arm].takes_part(name)
        )

    def _is_made(self, trial: Trial) -> bool:
        """Whether a trial is in the table by now; if not, its run is begun where there is room."""
        wanted = described(trial)
        if not any(row.key == wanted.key for row in self.rows):
            row = _twin(wanted, self.rows) or self._outcome(trial, wanted)
            if row is None:
                return False
            append_row(self.settings.table, row)
            self.rows.append(row)
            self.said.append(Event(self.done, SAID, {"sentence": _sentence(row)}, time.time()))
        self.done += 1
        return True

    def _outcome(self, trial: Trial, wanted: Row) -> Row | None:
        settings = trial.config.changed(**UNMEASURED)
        question = _question(settings)
        run = self.runs.get(question)
        if run is None:
            if not self._over and question not in self._begun and len(self.opened) < self.free:
                self._begun.add(question)
                name = f"{trial.setting} · {trial.phase} · {trial.arm} · seed {settings.seed}"
                self._open(settings.changed(name=name))
            return None
        if run.status not in ("finished", "diverged"):
            self._nothing_yet(run)
            return None
        row = _row_of(self.store, wanted, run)
        if not _measured(wanted) or run.status == "diverged":
            return row
        curvature = self.curvatures.get(run.id)
        if curvature is None:
            kind = kind_of("curvature")
            asked = kind.settings.parse({**CURVATURE, "network": run.id})
            self._open(asked, kind.prepare(self.store, asked) if kind.prepare else None)
            return None
        if curvature.status != "finished":
            self._nothing_yet(curvature)
            return None
        found = curvature.summary
        return replace(row, lambda_max=found["eigenvalues"][0], trace=found["trace"])

    def _open(self, settings: Any, inputs: Mapping[str, Any] | None = None) -> None:
        self.opened.append(new_row(settings, parent=self.job.id, inputs=inputs))

    def _nothing_yet(self, member: Job) -> None:
        if not member.active and not self._obstacle:
            reason = f"{member.title} is {member.status}. {member.message}".strip()
            self._obstacle = f"{reason} Resume the study to go on."


def described(trial: Trial) -> Row:
    """The row of a run before it is made: its settings, no results."""
    config = trial.config
    values: dict[str, Any] = {
        name: float(getattr(config, name)) if config.applies(name) else NAN for name in SETTINGS
    }
    return Row(
        setting=trial.setting,
        phase=trial.phase,
        arm=trial.arm,
        optimizer=config.optimizer,
        rule=config.rule if config.applies("rule") else "",
        second_pass=config.second_pass_name if config.applies("second_pass") else "",
        schedule=config.schedule,
        epochs=config.epochs,
        seed=config.seed,
        validation=config.validation,
        **values,
    )


def _row_of(store: Store, wanted: Row, run: Job) -> Row:
    """What a run that has ended left in the store."""
    steps = store.records.steps(run.key)
    started = [e.detail for e in store.records.events(run.key) if e.kind == "started"][-1]
    end = run.last_epoch if run.status == "finished" else None
    accuracies = ("train_accuracy", "val_accuracy", "test_accuracy", "gap")
    count = len(steps["step"])
    return replace(
        wanted,
        **{name: getattr(end, name) for name in accuracies if end is not None},
        lam_last=float(steps["lam"][-1]) if count else NAN,
        lam_mean=float(steps["lam"].mean()) if count else NAN,
        grad_evals=int(steps["grad_evals"][-1]) if count else 0,
        seconds=float(steps["seconds"][-1]) if count else NAN,
        status=run.status,
        precision=precision_in(run.device),
        **{name: started[name] for name in ("threads", "samar", "torch")},
    )


def _measured(row: Row) -> bool:
    """Whether the protocol measures the curvature at a run's end."""
    return row.phase == "final" and row.seed in protocol.CURVATURE_SEEDS


def _twin(wanted: Row, rows: Sequence[Row]) -> Row | None:
    """A row of another arm or phase with the same settings, seed and measurements."""
    for row in rows:
        same = row.choice == wanted.choice and row.seed == wanted.seed
        if same and (row.phase == "final" or not _measured(wanted)):
            return replace(row, phase=wanted.phase, arm=wanted.arm)
    return None


def _question(settings: TrainSettings) -> str:
    """What a run is, as text to compare."""
    return settings.model_dump_json(exclude={"name"})


def _sentence(row: Row) -> str:
    found = "" if math.isnan(row.test_accuracy) else f", test {row.test_accuracy:.2%}"
    found += "" if math.isnan(row.train_accuracy) else f", train {row.train_accuracy:.2%}"
    return (
        f"{row.setting} · {row.phase} · {row.arm} · seed {row.seed}: {row.status}{found}, "
        f"{row.seconds:.0f} s"
    )
