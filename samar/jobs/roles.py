"""Roles: who may do what on a server that several people use.

A server has an owner, who may do everything; a class, whose members start and steer jobs of their
own within limits; and viewers, who look. Every function ``why_not_…`` answers with one sentence, or
with nothing where the person may: :class:`samar.jobs.service.Jobs` refuses with it, and a page
disables with it what would be refused.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from samar.errors import ConfigError, NotAllowed
from samar.home import home
from samar.jobs.job import ACTIVE, PERSON, Job, mark_in
from samar.jobs.kind import kind_of
from samar.settings.job import JobSettings
from samar.settings.paths import FOLDER_PREFIX, expanded, is_file

if TYPE_CHECKING:
    from samar.jobs.store import Store

ROLES = ("owner", "class", "view")
OWNER, CLASS, VIEW = ROLES
VARIABLE = "SAMAR_ROLE"
LIMITS = {"SAMAR_CLASS_JOBS": 2, "SAMAR_CLASS_MINUTES": 15, "SAMAR_CLASS_UPLOAD_MB": 50}
"""Active jobs of a person, minutes of a job, megabytes of a file, with what they are by default."""
JOBS, MINUTES, UPLOAD_MB = LIMITS

PINNED_PATHS = ("network", "dataset")
"""What may be a path, of a network among a job's inputs."""
NO_PATHS = (
    "Paths are left to whoever runs this server; choose from the lists, or upload a file on the "
    "Models page."
)


@dataclass(frozen=True)
class Person:
    """Who acts.

    Attributes:
        role: one of :data:`ROLES`.
        id: tells members of a class apart; stored with their jobs, so it must be no secret.
    """

    role: str = OWNER
    id: str = ""


def stated_role() -> str | None:
    """The role that the environment gives to everybody who visits; None where it says nothing.

    Raises:
        ConfigError: there is no such role.
    """
    role = os.environ.get(VARIABLE) or None
    if role is not None and role not in ROLES:
        raise ConfigError(f"{VARIABLE} is {role!r}, but it must be one of: {', '.join(ROLES)}.")
    return role


def limit(name: str) -> int:
    """One of the class's limits.

    Raises:
        ConfigError: the variable is not a whole number of at least 1.
    """
    text = os.environ.get(name, str(LIMITS[name]))
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{name} is {text!r}, but it must be a whole number from 1 up.")
    return int(text)


def mark_of(person: Person) -> Mapping[str, Any]:
    """What is noted among a new job's inputs: whose it is, and how long it may take."""
    if person.role == OWNER:
        return {}
    return {PERSON: {"id": person.id, "minutes": limit(MINUTES)}}


def allow(why_not: str) -> None:
    """Go on if there is no reason not to.

    Raises:
        NotAllowed: with the reason.
    """
    if why_not:
        raise NotAllowed(why_not)


def why_not_act(person: Person) -> str:
    """Why a person may not start or change anything."""
    if person.role == VIEW:
        return "This server only shows jobs; ask whoever runs it, or run samar on your own machine."
    return ""


def why_not_manage(person: Person) -> str:
    """Why a person may not change what nobody owns, such as the networks of the library."""
    if person.role == CLASS:
        return "This is shared by the class; ask whoever runs the server to change it."
    return why_not_act(person)


def why_not_steer(person: Person, store: "Store", job: Job) -> str:
    """Why a person may not stop, change, name or delete a job."""
    if person.role == CLASS and whose(store, job) != person.id:
        return f"{job.label} was started by somebody else; steer and delete jobs of your own."
    return why_not_act(person)


def why_not_upload(person: Person, size: int) -> str:
    """Why a person may not upload a file of so many bytes."""
    if person.role == CLASS and size > limit(UPLOAD_MB) * 1_000_000:
        return (
            f"The file has {size / 1e6:.0f} MB, but {limit(UPLOAD_MB)} MB are allowed here; "
            "choose a smaller one."
        )
    return why_not_act(person)


def why_not_ask(
    person: Person, settings: JobSettings, inputs: Mapping[str, Any] | None = None
) -> str:
    """Why a person may not ask for what these settings say, even where it is known already.

    Args:
        inputs: of an imported job, for the networks that they name.
    """
    if person.role != OWNER:
        if kind_of(settings.kind).fetches:
            return "Downloads are left to whoever runs this server; ask there for what you need."
        for path in paths_in(settings, inputs):
            return f"{path} is a path on the server. {NO_PATHS}"
    return ""


def why_not_type_path(person: Person) -> str:
    """Why a person may not name a file or folder of the server."""
    return NO_PATHS if person.role == CLASS else why_not_act(person)


def why_not_start(
    person: Person, store: "Store", settings: JobSettings | None = None, *, more: int = 1
) -> str:
    """Why a person may not start a job now, or ``more`` of them."""
    refused = why_not_act(person) or (why_not_ask(person, settings) if settings else "")
    if person.role == CLASS and not refused:
        own = sum(mine(person, job) for job in store.all(status=ACTIVE) if job.parent is None)
        most = limit(JOBS)
        if own + more > most:
            return (
                f"You have {own} jobs that run or wait, and {most} are allowed; wait for one to "
                "end, or stop one."
            )
    return refused


def mine(person: Person, job: Job) -> bool:
    """Whether a job bears a person's mark; what a job owns bears none."""
    return bool(mark_in(job.inputs).get("id") == person.id)


def whose(store: "Store", job: Job) -> str:
    """The person who started a job, or the job that owns it; empty for the owner."""
    seen = set()
    while PERSON not in job.inputs and job.parent is not None and job.parent not in seen:
        seen.add(job.parent)
        job = store.get(job.parent)
    return str(mark_in(job.inputs).get("id", ""))


def paths_in(settings: JobSettings, inputs: Mapping[str, Any] | None = None) -> Iterator[str]:
    """The values of settings that name a file or folder, other than an upload.

    Args:
        inputs: of an imported job, for the networks that they name.
    """
    uploads = (home() / "models" / "uploads").resolve()
    pinned = (inputs or {}).get("networks")
    networks = pinned if isinstance(pinned, list) else []
    named = [each.get(n) for each in networks if isinstance(each, Mapping) for n in PINNED_PATHS]
    for text in _texts([settings.model_dump(exclude={"name"}), named]):
        try:
            path = expanded(text.removeprefix(FOLDER_PREFIX))
        except ConfigError:  # below the home folder of an unknown user
            yield text
            continue
        written = text.startswith(FOLDER_PREFIX) or "/" in text or "\\" in text
        if (written or is_file(path)) and uploads not in path.resolve().parents:
            yield text


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
