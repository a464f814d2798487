"""One job as faces see it: what was asked, where it stands, what came out."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Any, NoReturn

from pydantic import Field

from samar.errors import RunError, SamarError
from samar.jobs.kind import kind_of, of_a_script
from samar.jobs.sql import schema
from samar.settings.job import MOST_CHARACTERS, JobSettings
from samar.training.records import NAN, EpochRecord

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
UNREADABLE = "unreadable"
"""Shown as the status of a job whose row this samar does not understand."""


class SettingsUnreadable(RunError, AttributeError):
    """A setting was asked for of a job whose settings cannot be read."""


class Unreadable(JobSettings):
    """Stands for settings that cannot be read: it has a name, and no other setting.

    Attributes:
        why: the sentence that tells whoever asks for one.
    """

    why: str = Field("", exclude=True)

    @property
    def command(self) -> str:
        """There is none."""
        self._refuse()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise SettingsUnreadable(f"{self.name}: {self.why}")


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
        return self.settings.described if named and self.status != UNREADABLE else ""

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
    """The job that a row describes; one that does not fit makes it an unreadable one."""
    wrong = damaged(row)
    own: dict[str, Any] = {n: row[n] for n in Job.__dataclass_fields__ if n in row}
    own |= {name: STAND_INS.get(name) for name in wrong if name in own}
    own["id"] = own["id"] or f"#{own['key']}"
    own |= {"pinned": bool(own["pinned"]), "tags": tuple(own["tags"].split())}
    own |= {name: schema.object_of(own[name]) for name in ("inputs", "summary")}
    why = ""
    for column, problem in wrong.items():
        why = f"Its {column} cannot be read: {problem}; see: python -m samar doctor"
        break
    else:
        try:
            own["settings"] = stored_settings(row["kind"], row["config"])
            # One that was imported had its time elsewhere.
            if own["status"] == "stopped" and not own["message"] and own["host"]:
                own["message"] = told_over(own["inputs"], own["started"], own["finished"])
        except SamarError as error:
            why = f"Its settings do not fit this samar: {error} Update samar, or delete it."
    if why:
        name = str(row["name"] or "")[:MOST_CHARACTERS] or f"job {own['id']}"
        own |= {"settings": Unreadable.model_construct(name=name, why=why)}
        own |= {"status": UNREADABLE, "message": why}
    return Job(**own)


STAND_INS: dict[str, Any] = {
    column.name: column.type.python_type() for column in schema.jobs.c if not column.nullable
}
"""For a column that cannot be read; None for one that may be empty."""


def stored_settings(kind: str, config: str) -> JobSettings:
    """The settings of a row.

    Raises:
        SamarError: they do not fit this samar.
    """
    try:
        settings = kind_of(kind).settings.stored(config)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise RunError(f"{type(error).__name__}: {error}.") from None
    if "name" not in (schema.object_of(config) or ()):  # the rest would be defaults
        raise RunError("They are incomplete.")
    return settings


def damaged(row: Mapping[Any, Any]) -> dict[str, str]:
    """The columns of a row of jobs that cannot hold what they do, each with what is wrong."""
    found = {column.name: schema.wrong(column, row[column.name]) for column in schema.jobs.c}
    if not found["status"] and row["status"] not in STATUSES:
        found["status"] = f"{row['status']!r:.40} is none that this samar knows"
    if not found["id"] and not re.fullmatch(r"[\w-]{1,32}", row["id"], re.ASCII):
        found["id"] = f"{row['id']!r:.40} is none"
    if not found["summary"] and not _sound(schema.object_of(row["summary"]) or {}):
        found["summary"] = "its figures are no numbers"
    return {name: problem for name, problem in found.items() if problem}


def _sound(summary: Mapping[str, Any]) -> bool:
    """Whether the figures that lists show are numbers."""
    epoch, members = summary.get("epoch", {}), summary.get("members", {})
    if not isinstance(epoch, dict | type(None)) or not isinstance(members, dict):
        return False
    racing = [m.get("epoch", "") if isinstance(m, dict) else "" for m in members.values()]
    figures = [*(epoch or {}).values(), *racing, summary.get("begun")]
    needed = {each.name for each in fields(EpochRecord) if each.default is MISSING}
    known = {each.name for each in fields(EpochRecord)}
    whole = not epoch or needed <= set(epoch) <= known
    return whole and all(each is None or isinstance(each, int | float) for each in figures)
