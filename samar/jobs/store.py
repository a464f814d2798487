"""The store of jobs: what was asked, what happened, and what should happen next.

Every method is one transaction. Callers speak of jobs by their public id; NaN is stored as NULL.
"""

import hashlib
import json
import logging
import os
import re
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import psutil
import sqlalchemy as sa

from samar.errors import ConfigError, RunError
from samar.jobs.job import ACTIVE, HELD, PERSON, RESUMABLE, WAITS, Job, job_from
from samar.jobs.kind import in_lane, kind_of, kinds, of_a_script, trains
from samar.jobs.records import PAUSE, Event, Orders, Records, insert_events
from samar.jobs.sql import schema
from samar.jobs.sql.database import Database, clock, take_turn
from samar.settings.declare import settings_of
from samar.settings.job import JobSettings

BEGUN = "begun"
"""In a job's summary: how far it was when it was last started."""
MEMBER = "member"
"""Among a member's inputs: what it is called."""
STALE_SECONDS = 20.0
# A worker whose process lives on this machine may have been asleep with it.
ASLEEP_SECONDS = 600.0
SHORTEST_BEGINNING = 4
RESTING = ("paused", "stopped", "failed")
"""What a coordinator is while the jobs that it owns stay in the queue."""
WATCH_SECONDS = 8.0
"""So long a mark that somebody watches a job holds."""
ROWS_KEPT = 8192
"""Jobs that a process remembers as they were read last; a page lists all of them at every look."""
OTHERS = schema.jobs.alias()
"""The jobs once more, for conditions on another one: made anew it costs milliseconds a look."""


class Store:
    """Jobs, their records, artifacts and orders behind one database URL."""

    def __init__(self, url: str | None = None) -> None:
        self.database = Database(url)
        self.records = Records(self.database)
        self.orders = Orders(self.database)

    # Jobs

    def create(
        self,
        settings: JobSettings,
        *,
        parent: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        here: bool = False,
    ) -> str:
        """Add a queued job, with its members if it has any, and return its id.

        A coordinator runs at once.

        Args:
            here: the job is claimed at once, for this process.
        """
        row = new_row(settings, parent, inputs)
        list_members = kind_of(settings.kind).members
        members = list_members(settings) if list_members else {}
        with self.database.write() as db:
            (key,) = db.execute(schema.jobs.insert().values(**row)).inserted_primary_key or (0,)
            for name, each in members.items():
                own = new_row(each, parent=str(row["id"]), inputs={MEMBER: name})
                db.execute(schema.jobs.insert().values(**own))
            if here:
                _claim(db, key, ("queued",))
        return str(row["id"])

    def get(self, job_id: str, kind: str | Sequence[str] | None = None) -> Job:
        """One job by its id, its name, its number (12 or #12), or a unique beginning of its id.

        Args:
            kind: only jobs of this kind, or of these, are meant.

        Raises:
            RunError: there is none, or more than one.
        """
        table = schema.jobs.c
        wishes = [table.id == job_id, table.name == job_id]
        if number := re.fullmatch(r"#?(\d{1,9})", job_id):
            wishes.append(table.key == int(number[1]))
        if len(job_id) >= SHORTEST_BEGINNING:
            wishes.append(table.id.startswith(job_id, autoescape=True))
        meant = (kind,) if isinstance(kind, str) else kind or ()
        word = "run" if "train" in meant else next(iter(meant), "job")
        for wish in wishes if job_id else ():
            found = self._select(wish & table.kind.in_(meant) if meant else wish)
            if len(found) == 1:
                return found[0]
            if found:
                ids = ", ".join(job.id for job in found[:5])
                raise RunError(
                    f"{job_id!r} fits {len(found)} {word}s ({ids}); give one of these ids."
                )
        called = repr(job_id) if len(job_id) <= 60 else f"{job_id[:60]!r}…"
        raise RunError(f"There is no {word} {called}; see the list of {word}s for ids.")

    def all(
        self,
        kind: str | Sequence[str] | None = None,
        *,
        status: Sequence[str] = (),
        parent: str | None = None,
    ) -> list[Job]:
        """Jobs, newest first: of one kind or several, of some statuses, of one owner, or all."""
        table = schema.jobs.c
        wanted: sa.ColumnElement[bool] = sa.true()
        if kind is not None:
            wanted &= table.kind.in_((kind,) if isinstance(kind, str) else kind)
        if status:
            wanted &= table.status.in_(status)
        if parent is not None:
            wanted &= table.parent == parent
        return self._select(wanted)

    def members(self, job: Job) -> list[Job]:
        """The jobs whose work this job's own process does, in the order of its settings."""
        return self._select(_hosted(job.key))[::-1]

    def host(self, job: Job) -> Job | None:
        """The job whose process does the work of this one; None where it has one of its own."""
        table = schema.jobs.c
        if not self._select((table.key == job.key) & _hosted()):
            return None
        return self._select(table.id == job.parent)[0]

    def resting_owner(self, job: Job) -> Job | None:
        """The coordinator that keeps a job of its own in the queue; None where none does."""
        table = schema.jobs.c
        return next(iter(self._select((table.id == job.parent) & _rests(table))), None)

    def counts(self, parents: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many jobs of each status each of these jobs owns."""
        table = schema.jobs.c
        query = (
            sa.select(table.parent, table.status, sa.func.count())
            .where(table.parent.in_(parents))
            .group_by(table.parent, table.status)
        )
        found: dict[str, dict[str, int]] = {}
        with self.database.read() as db:
            for parent, status, count in db.execute(query):
                found.setdefault(parent, {})[status] = count
        return found

    def same(self, settings: JobSettings, inputs: Mapping[str, Any]) -> Job | None:
        """The newest job that answers, or is about to answer, the same question."""
        wanted = schema.jobs.c.fingerprint == fingerprint(settings, inputs)
        usable = schema.jobs.c.status.in_(("finished", *ACTIVE))
        return next(iter(self._select(wanted & usable)), None)

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Job]:
        query = sa.select(schema.jobs).where(condition).order_by(schema.jobs.c.key.desc())
        with self.database.read() as db:
            rows = db.execute(query).all()
        return [job for row in rows if (job := _readable(row)) is not None]

    def rename(self, job_id: str, name: str) -> None:
        """Give a job another name.

        Raises:
            ConfigError: the name is too long.
        """
        job = self.get(job_id)
        settings = job.settings.changed(name=name)
        self._update(job, name=settings.name, config=settings.model_dump_json())

    def mark(
        self, job_id: str, *, pinned: bool | None = None, tags: Sequence[str] | None = None
    ) -> None:
        """Pin or unpin a job, or give it other tags; a tag is a word of at most 30 characters.

        Raises:
            ConfigError: a tag is too long, or there are more than 20.
        """
        job, values = self.get(job_id), dict[str, Any]()
        if pinned is not None:
            values["pinned"] = int(pinned)
        if tags is not None:
            values["tags"] = " ".join(words := list(dict.fromkeys(" ".join(tags).split())))
            if len(words) > 20 or any(len(word) > 30 for word in words):
                raise ConfigError("A run has at most 20 tags of at most 30 characters; use fewer.")
        self._update(job, **values)

    def _update(self, job: Job, **values: Any) -> None:
        with self.database.write() as db:
            db.execute(schema.jobs.update().where(schema.jobs.c.key == job.key).values(**values))

    def delete(self, job_id: str) -> list[str]:
        """Forget a job and all that it owns, with their records.

        Returns:
            The ids of what was deleted, whose files may go.

        Raises:
            RunError: a worker still has one of them.
        """
        job = self.get(job_id)
        table = schema.jobs
        with self.database.write() as db:
            gone = [job]
            for each in gone:
                if in_lane(each.kind, None):
                    take_turn(db, f"members of {each.id}")
                free: sa.ColumnElement[bool] = table.c.key == each.key
                if not in_lane(each.kind, None):
                    free &= table.c.status.not_in(HELD)
                if not db.execute(table.update().where(free).values(status="deleted")).rowcount:
                    word = "training or paused" if trains(each.kind) else "running"
                    raise RunError(f"Run {each.id} is {word}; stop it before deleting it.")
                gone += self.all(parent=each.id)  # only now does nobody add any
            for each in gone:
                for other in reversed(schema.metadata.sorted_tables):
                    if "job" in other.c:
                        db.execute(other.delete().where(other.c.job == each.key))
                db.execute(table.delete().where(table.c.key == each.key))
        return [each.id for each in gone]

    # Life of a job

    def claim_next(self, lane: str, limit: int) -> Job | None:
        """Turn the oldest queued job of a lane into a running one, if fewer than ``limit`` run.

        Those on this machine count, and paused ones there that wait for their place: they come
        first. A job that a person started goes before those that a coordinator owns; those of a
        coordinator that rests stay where they are.
        """
        table = schema.jobs.c
        own = [kind.name for kind in kinds().values() if kind.lane == lane]
        with self.database.write() as db:
            take_turn(db, _claims())
            if _running(db, lane, waiting=True) >= limit:
                return None
            oldest = sa.select(table.key).where(_waiting(own)).order_by(*_order()).limit(1)
            key = db.execute(oldest.with_for_update(skip_locked=True)).scalar()
            if key is None:
                return None
            _claim(db, key, ("queued",))
        return self._read_or_fail(key)

    def _read_or_fail(self, key: int) -> Job | None:
        """A job that is to be done; it fails where its settings do not fit this samar."""
        own = schema.jobs.c.key == key
        if jobs := self._select(own):
            return jobs[0]
        told = "Its settings do not fit this samar; start it anew."
        with self.database.write() as db:
            db.execute(schema.jobs.update().where(own).values(status="failed", message=told))
        return None

    def next_queued(self, leaving_out: Sequence[str] = ()) -> Job | None:
        """The job that comes next in a queue of all lanes, but for some."""
        every = [kind.name for kind in kinds().values() if kind.lane is not None]
        table = schema.jobs.c
        wanted = _waiting(every) & table.id.not_in(leaving_out)
        query = sa.select(table.key).where(wanted).order_by(*_order()).limit(1)
        with self.database.read() as db:
            key = db.execute(query).scalar()
        return None if key is None else self._read_or_fail(key)

    def claim(self, job_id: str, only: Sequence[str] = ("queued",)) -> Job | None:
        """Turn one job into a running one.

        Args:
            only: the statuses from which it may.

        Returns:
            The job; None if it is not one that can be claimed. One that was paused is to be paused
            again.
        """
        table = schema.jobs.c
        with self.database.write() as db:
            own = sa.select(table.key, table.status).where(
                (table.id == job_id) & table.status.in_(only)
            )
            row = db.execute(own.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            _claim(db, row.key, only)
            if row.status == "paused":
                self.orders.post(row.key, PAUSE)
        return self._select(table.key == row.key)[0]

    def unpause(self, job: Job, limit: int) -> bool:
        """Let a paused job run again; while ``limit`` of its lane run on this machine it waits.

        Returns:
            Whether it runs.
        """
        lane = kind_of(job.kind).lane
        assert lane is not None
        with self.database.write() as db:
            take_turn(db, _claims())
            if _running(db, lane) < limit:
                return _change(db, job, ("paused",), {"status": "running", "message": ""})
            told = sa.select(schema.jobs.c.message).where(schema.jobs.c.key == job.key)
            if db.execute(told).scalar() != WAITS:
                _change(db, job, ("paused",), {"status": "paused", "message": WAITS})
            return False

    def beat(self, job: Job, events: Sequence[Event] = (), **facts: Any) -> bool:
        """Say that the worker lives, what happened, and perhaps how far it is.

        A job that was taken for dead, because its worker was asleep or cut off from the store, goes
        on if nobody has it now.

        Returns:
            Whether the worker still has the job; if not, it must stop without saving.
        """
        with self.database.write() as db:
            facts = {"heartbeat": clock(db), **facts}
            if not (_change(db, job, HELD, facts) or _revive(db, job, facts)):
                return False
            insert_events(db, job.key, events)
        return True

    def watch(self, job: Job) -> None:
        """Mark that somebody watches a job, for the next seconds."""
        table = schema.watched
        with self.database.write() as db:
            db.execute(table.delete().where(table.c.job == job.key))
            db.execute(table.insert().values(job=job.key, until=clock(db) + WATCH_SECONDS))

    def is_watched(self, job: Job) -> bool:
        """Whether somebody watches a job."""
        table = schema.watched.c
        with self.database.read() as db:
            until = db.execute(sa.select(table.until).where(table.job == job.key)).scalar()
            return until is not None and until > clock(db)

    def adopt(self, job: Job) -> None:
        """Say that this process is the worker of a job."""
        pid = os.getpid()
        self.beat(job, pid=pid, process=born(pid), host=socket.gethostname())

    def move(self, job: Job, status: str, message: str = "", *, only: Sequence[str] = HELD) -> bool:
        """Move a job to another status, if it is in one of ``only`` and nobody claimed it since.

        Returns:
            Whether that was so.
        """
        finished = None if status in ACTIVE else time.time()
        values = {"status": status, "message": message, "finished": finished}
        with self.database.write() as db:
            return _change(db, job, only, values)

    def requeue(self, job: Job, *, here: bool = False, **numbers: Any) -> None:
        """Put a job that ended early back into the queue.

        Args:
            here: it is claimed at once, for this process.
            numbers: to be put into its summary.

        Raises:
            RunError: the job is not one that can go on.
        """
        values: dict[str, Any] = {"status": "queued", "message": "", "finished": None}
        if numbers:
            values["summary"] = json.dumps({**job.summary, **numbers})
        with self.database.write() as db:
            moved = _change(db, job, RESUMABLE, values)
            if moved and here:
                _claim(db, job.key, ("queued",))
        if not moved:
            now = self.get(job.id).status
            raise RunError(f"Run {job.id} is {now}; only {', '.join(RESUMABLE)} runs can go on.")

    def mark_interrupted(self) -> None:
        """Find jobs whose worker is gone: no heartbeat, or no process on this machine."""
        coordinators = [kind.name for kind in kinds().values() if kind.lane is None]
        held = schema.jobs.c.status.in_(HELD) & schema.jobs.c.kind.not_in(coordinators)
        found = self._select(held & ~_hosted())
        with self.database.read() as db:
            now = clock(db)
        for job in found:
            silent = now - (job.heartbeat or 0)
            here = job.host == socket.gethostname() and job.pid is not None
            gone = not alive(job.pid, job.process) or silent > ASLEEP_SECONDS
            if gone if here else silent > STALE_SECONDS:
                what = "trained this run" if trains(job.kind) else "did this job"
                usual = f"The process that {what} is gone; resume it to go on."
                if of_a_script(job.kind):
                    usual = f"The script that {what} is gone."
                self.move(job, "interrupted", usual)


def new_row(
    settings: JobSettings, parent: str | None = None, inputs: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A new row of ``jobs``."""
    now = time.time()
    coordinator = kind_of(settings.kind).lane is None
    return {
        "id": secrets.token_hex(4),
        "kind": settings.kind,
        "name": settings.name,
        "config": settings.model_dump_json(),
        "status": "running" if coordinator else "queued",
        "created": now,
        "started": now if coordinator else None,
        "parent": parent,
        "inputs": json.dumps(dict(inputs or {})),
        "fingerprint": fingerprint(settings, inputs or {}),
    }


def _readable(row: sa.Row[Any]) -> Job | None:
    """The job of a row; none, and a warning, where its settings do not fit this samar."""
    try:
        return _job(tuple(row._mapping.items()), kinds().get(row.kind))
    except RunError as error:
        _warn(str(error))
        return None


@cache
def _warn(sentence: str) -> None:
    logging.getLogger("samar").warning(sentence)


@lru_cache(maxsize=ROWS_KEPT)
def _job(row: tuple[tuple[Any, Any], ...], kind: object) -> Job:
    """The job of a row; a row that did not change is read once, as long as its kind is the same."""
    return job_from(dict(row))


def fingerprint(settings: JobSettings, inputs: Mapping[str, Any]) -> str:
    """What jobs that ask the same question have in common, as a checksum."""
    named = {name for name, known in settings_of(type(settings)).items() if known.pinned}
    asked = settings.without_idle().model_dump(mode="json", exclude={"name", *named})
    nameless: Any = json.loads(
        json.dumps(dict(inputs)),
        object_hook=lambda each: {n: v for n, v in each.items() if n not in ("title", PERSON)},
    )
    question = [settings.kind, asked, nameless]
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def born(pid: int) -> float:
    """When a process of this machine began, by which it is told from a later one of its number.

    On Linux since the machine started, because what psutil says of it moves when the clock is set.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    started = psutil.boot_time() if psutil.LINUX else 0.0
    moment: float = psutil.Process(pid).create_time() - started
    return moment


def alive(pid: int | None, created: float | None) -> bool:
    """Whether a process of this machine lives; ``created``, see :func:`born`, tells which."""
    if pid is None:
        return False
    try:
        process = psutil.Process(pid)
        same = created is None or abs(born(pid) - created) < 1
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, OverflowError, ValueError):  # a number that no process has
        return False


def _waiting(names: Sequence[str]) -> sa.ColumnElement[bool]:
    """Queued jobs of some kinds that may start."""
    table, other = schema.jobs.c, OTHERS.c
    resting = sa.select(other.id).where(_rests(other))
    free = table.parent.is_(None) | table.parent.not_in(resting)
    return table.kind.in_(names) & (table.status == "queued") & free & ~_hosted()


def _rests(table: Any) -> sa.ColumnElement[bool]:
    """Coordinators, among the columns of a table of jobs, that start nothing now."""
    coordinators = [kind.name for kind in kinds().values() if kind.lane is None]
    found: sa.ColumnElement[bool] = table.kind.in_(coordinators) & table.status.in_(RESTING)
    return found


def _order() -> tuple[sa.ColumnElement[Any], ...]:
    """A job that a person started goes before those that a coordinator owns."""
    return schema.jobs.c.parent.is_not(None), schema.jobs.c.key


def _claim(db: sa.Connection, key: int, only: Sequence[str]) -> None:
    """Turn a job, and those whose work its process does, into running ones of this machine."""
    table = schema.jobs.c
    together = (table.key == key) | (table.status.in_(only) & _hosted(key))
    keys = db.execute(sa.select(table.key).where(together)).scalars().all()
    db.execute(schema.controls.delete().where(schema.controls.c.job.in_(keys)))
    values = {
        "status": "running",
        "message": "",
        "heartbeat": clock(db),
        "started": time.time(),
        "finished": None,
        "host": socket.gethostname(),
        "pid": None,
        "process": None,
        "doing": "",
        "claim": table.claim + 1,
    }
    db.execute(schema.jobs.update().where(table.key.in_(keys)).values(**values))
    _note_begun(db, keys)


def _note_begun(db: sa.Connection, keys: Sequence[int]) -> None:
    """Note how far jobs were that go on from what they kept: it takes no more time."""
    table = schema.jobs.c
    resumable = [kind.name for kind in kinds().values() if kind.resumable]
    wanted = table.key.in_(keys) & table.kind.in_(resumable) & (table.done > 0)
    found = sa.select(table.key, table.done, table.summary).where(wanted)
    for key, done, text in db.execute(found).all():
        summary = {**json.loads(text or "{}"), BEGUN: done}
        db.execute(schema.jobs.update().where(table.key == key).values(summary=json.dumps(summary)))


def _claims() -> str:
    return f"claims of {socket.gethostname()}"


def _running(db: sa.Connection, lane: str, *, waiting: bool = False) -> int:
    """How many jobs of a lane run on this machine, perhaps with those that wait to go on."""
    table = schema.jobs.c
    own = [kind.name for kind in kinds().values() if kind.lane == lane]
    here = table.host == socket.gethostname()
    running = table.status == "running"
    if waiting:
        running |= (table.status == "paused") & (table.message == WAITS)
    running &= table.kind.in_(own) & here & ~_hosted()
    return db.execute(sa.select(sa.func.count()).where(running)).scalar_one()


def _hosted(owner: int | None = None) -> sa.ColumnElement[bool]:
    """Jobs whose work is done by the process of the job that owns them, perhaps only one's."""
    table, other = schema.jobs.c, OTHERS
    found: sa.ColumnElement[bool] = sa.false()
    for host in kinds().values():
        if host.members is not None:
            own = [kind.name for kind in kinds().values() if kind.lane == host.lane]
            owners = sa.select(other.c.id).where(other.c.kind == host.name)
            owners = owners if owner is None else owners.where(other.c.key == owner)
            found |= table.parent.is_not(None) & table.kind.in_(own) & table.parent.in_(owners)
    return found


def _revive(db: sa.Connection, job: Job, facts: Mapping[str, Any]) -> bool:
    """Let a job that was taken for dead go on, running or paused as it was."""
    table = schema.events.c
    told = (table.job == job.key) & table.kind.in_(("started", "paused", "resumed"))
    last = sa.select(table.kind).where(told).order_by(table.key.desc()).limit(1)
    status = "paused" if db.execute(last).scalar() == "paused" else "running"
    values = {"status": status, "message": "", "finished": None}
    return _change(db, job, ("interrupted",), {**values, **facts})


def _change(db: sa.Connection, job: Job, only: Sequence[str], values: Mapping[str, Any]) -> bool:
    table = schema.jobs.c
    same = (table.key == job.key) & (table.claim == job.claim) & table.status.in_(only)
    if not db.execute(schema.jobs.update().where(same).values(**values)).rowcount:
        return False
    if "status" in values:
        moved = (*ACTIVE, *RESUMABLE) if values["status"] == "queued" else ACTIVE
        follow = _hosted(job.key) & table.status.in_(moved)
        db.execute(schema.jobs.update().where(follow).values(**values))
    return True
