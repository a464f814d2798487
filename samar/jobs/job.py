"""One job as faces see it: settings, progress, results, and where its files lie."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from samar.errors import RunError, SamarError
from samar.home import jobs_folder
from samar.jobs.kind import kind_of, of_a_script
from samar.jobs.training_records import NAN, EpochRecord

ACTIVE = ("queued", "running", "paused")
RESUMABLE = ("stopped", "interrupted", "failed")
HELD = ("running", "paused")
STATUSES = (*ACTIVE, *RESUMABLE, "finished", "diverged")
"""All that a job can have in the store."""
WAITS = "Another run trains; this one waits for its place."
"""The message of a paused job that was told to go on and has no place yet."""
SKIPPED = "Skipped"
"""How the message begins of a job that its coordinator decided to leave out."""
ARCHIVE = "archive"
"""Entry in the inputs of an imported job: the SHA-256 of the zip that it came from."""
RANKS = "ranks"
"""A run's setting, and in its summary another number of processes in which it was to go on."""
PERSON = "person"
"""Among the inputs of a job of the class: whose it is, and how many minutes it may take."""


@dataclass(frozen=True)
class Job:
    """One row of the store.

    Attributes:
        key: of the row; never used again.
        id: what people and links call it.
        kind: key of :func:`samar.jobs.kind.kinds`.
        settings: what was asked; of the kind's settings class.
        parent: the job that owns it and takes it along when it is deleted; None for none.
        inputs: what its settings refer to, pinned when it was submitted.
        done, total: progress, in units of the kind's own; ``total`` None while unknown.
        doing: what it does now, in words.
        summary: its result in a few plain numbers.
    """

    key: int
    id: str
    kind: str
    settings: Any
    status: str
    message: str
    created: float
    started: float | None
    finished: float | None
    heartbeat: float | None
    host: str | None
    pid: int | None
    process: float | None
    device: str | None
    claim: int
    pinned: bool
    tags: tuple[str, ...]
    parent: str | None
    inputs: Mapping[str, Any]
    done: int
    total: int | None
    doing: str
    summary: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The name, or what it is about, or a description of the settings."""
        return str(self.settings.name or self.inputs.get("title") or self.settings.described)

    @property
    def number(self) -> str:
        """Its short number, which no other job of the store has or will have: ``#12``."""
        return f"#{self.key}"

    @property
    def label(self) -> str:
        """Number and title, which no two jobs share, and whether it was edited.

        A name that a person gave comes first.
        """
        if self.settings.name and self.parent is None:  # a coordinator names what it owns
            return f"{self.title} · {self.number}{self.badge}"
        return f"{self.number} {'of ' * ('title' in self.inputs)}{self.title}{self.badge}"

    @property
    def edits(self) -> int:
        """How often its settings were changed while it trained; its settings do not tell."""
        count = self.summary.get("edits", 0)
        return count if isinstance(count, int) else 0

    @property
    def notes(self) -> list[str]:
        """What is not as it was asked for, in sentences."""
        return [self.summary[name] for name in ("note", "missed", "away") if self.summary.get(name)]

    @property
    def badge(self) -> str:
        """Stands behind the title of a job that was edited, wherever it is named."""
        return f" · edited {self.edits}×" if self.edits else ""

    @property
    def command(self) -> str:
        """The command that repeats the job, its edits included."""
        repeats = self.edits and not of_a_script(self.kind)
        more = f" --edits {edits_name(self.id)}" if repeats else ""
        return f"{self.settings.command}{more}"

    @property
    def long_label(self) -> str:
        """The label, with the settings of a named run, and when it was asked for."""
        return " · ".join(filter(None, (self.label, self.details, moment(self.created))))

    @property
    def details(self) -> str:
        """The settings of a training run that a person named: its name need not tell them."""
        named = self.kind == "train" and self.settings.name and self.parent is None
        return self.settings.described if named else ""

    @property
    def active(self) -> bool:
        """Whether a worker has it or will have it."""
        return self.status in ACTIVE

    @property
    def last_epoch(self) -> EpochRecord | None:
        """Of a training run, the newest evaluation."""
        epoch = self.summary.get("epoch")
        if not epoch:
            return None
        known: dict[str, Any] = {n: NAN if v is None else v for n, v in epoch.items()}
        return EpochRecord(**known)


def edits_name(job_id: str) -> str:
    """What the file with a job's edits is called."""
    return f"edits-{job_id}.json"


def moment(seconds: float) -> str:
    """A time of day with its date, for people."""
    return f"{datetime.fromtimestamp(seconds):%d %b %H:%M}".lstrip("0")


def unnumbered(title: str) -> str:
    """A title without the number of another store.

    Example:
        >>> unnumbered("#12 SAM, ρ 0.1"), unnumbered("best · #12, step 40")
        ('SAM, ρ 0.1', 'best, step 40')
    """
    return re.sub(r"(^|(?<= to ))#\d+ | · #\d+(?=, step | to |$)", "", title)


def mark_in(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Whose a job of the class is, and how many minutes it may take; nothing of another job."""
    mark = inputs.get(PERSON)
    return mark if isinstance(mark, Mapping) else {}


def told_over(inputs: Mapping[str, Any], started: float | None, until: float | None) -> str:
    """That a job of the class has had its time since it was last started; empty if it has not."""
    minutes = mark_in(inputs).get("minutes")
    if not isinstance(minutes, int) or not started or not until or until - started < 60 * minutes:
        return ""
    return f"The class's time limit of {minutes} minute{'s' * (minutes != 1)} is over."


def job_from(row: Mapping[Any, Any]) -> Job:
    """The job that a row describes.

    Raises:
        RunError: its settings do not fit this samar.
    """
    fields: dict[str, Any] = {name: row[name] for name in Job.__dataclass_fields__ if name in row}
    try:
        fields["settings"] = kind_of(row["kind"]).settings.stored(row["config"])
        fields |= {name: json.loads(row[name] or "{}") for name in ("inputs", "summary")}
    except (SamarError, LookupError, TypeError, ValueError) as error:
        label = f"Job #{row['key']} ({row['name'] or row['kind']})"
        raise RunError(f"{label} does not fit this samar and is left out: {error}") from None
    fields |= {"pinned": bool(row["pinned"]), "tags": tuple(row["tags"].split())}
    # An imported job had its time elsewhere.
    if row["status"] == "stopped" and not row["message"] and row["host"]:
        fields["message"] = told_over(fields["inputs"], row["started"], row["finished"])
    return Job(**fields)


def job_dir(job_id: str) -> Path:
    """Where one job keeps its artifacts, resume state and log."""
    return jobs_folder() / job_id


def weights_path(job_id: str) -> Path:
    """A training run's latest weights."""
    return job_dir(job_id) / "weights.safetensors"


def resume_path(job_id: str) -> Path:
    """What a training run needs to continue."""
    return job_dir(job_id) / "resume.pt"


def state_file(step: int) -> str:
    """Within a training run's folder: what it needs to continue from an earlier step."""
    return f"states/state-{step}.pt"


def log_path(job_id: str) -> Path:
    """What the job's worker printed."""
    return job_dir(job_id) / "worker.log"
