"""A branch: a new run that goes on from a moment that another run kept.

It has all that the other recorded until then, as if it had trained that itself: steps, epochs,
events and files. Files are shared between the two folders where the disk can do so, because no file
that was kept is ever changed.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from samar.errors import RunError
from samar.jobs.edits import (
    BY,
    EDITS,
    FROM_FILE,
    PlannedEdit,
    count_edits,
    edited,
    member_plan,
    planned,
)
from samar.jobs.job import Job, job_dir, resume_path
from samar.jobs.pace import PACE, pace_of
from samar.jobs.records import CHANGE, MEASURED, Artifact, Event, insert_events
from samar.jobs.sql import blocks, schema
from samar.jobs.store import MEMBER, Store, new_row
from samar.settings.command import json_line

STATE, WEIGHTS = "state", "weights"
"""Kinds of artifacts: what a run can go on from, and the weights of its end."""
BRANCH = "branch"
"""Among the inputs of a branch: from which run, and from which step."""
NAMED = 55
SHOWN_STEPS = 8


def kept_states(store: Store, job: Job) -> list[Artifact]:
    """The moments from which a run can be gone on with, in order of step."""
    kept = store.records.artifacts(job.key, STATE)
    there = [each for each in kept if (job_dir(job.id) / each.path).is_file()]
    return sorted(there, key=lambda each: each.step)


def plan_of(store: Store, job: Job) -> list[PlannedEdit]:
    """The edits that a job was given; what its race was given for a run of that.

    Raises:
        ConfigError: its inputs hold something else.
    """
    host = store.host(job)
    if host is None:
        return planned(job.inputs)
    return member_plan(planned(host.inputs), job.settings, str(job.inputs[MEMBER]))


def branch(
    store: Store,
    origin: Job,
    step: int | None,
    changes: Mapping[str, Any],
    by: str = "",
    mark: Mapping[str, Any] | None = None,
) -> str:
    """Add a queued run that goes on from a kept moment of another, with some settings changed.

    Its settings are those that the other began with, so that settings and recorded changes tell
    the whole story; what changes here is recorded as one more change, at that step.

    Args:
        step: of the moment; the newest if None.
        changes: live settings, and perhaps a ``name``.
        by: who makes the changes.
        mark: further inputs of the new run, such as whose it is.

    Returns:
        The new run's id.

    Raises:
        RunError: the run kept no state at that step.
        ConfigError: a change does not fit.
    """
    moment = _moment(store, origin, step)
    live = {name: value for name, value in changes.items() if name != "name"}
    events = [each for each in store.records.events(origin.key) if _belongs(each, moment.step)]
    ahead = [edit for edit in plan_of(store, origin) if edit.step >= moment.step]
    events += [  # before what is changed here
        Event(edit.step, CHANGE, edit.values | {BY: FROM_FILE}, moment.at)
        for edit in ahead
        if edit.step == moment.step
    ]
    if live:
        after = edited(origin.settings, events).changed_live(**live)
        live = {name: getattr(after, name) for name in live}
        events.append(Event(moment.step, CHANGE, live | {BY: by}, moment.at))
    settings = origin.settings.changed(name=changes.get("name") or _name(origin, moment.step))
    branched = {"run": origin.id, "step": moment.step, "title": origin.title}
    pace = pace_of(origin.inputs, origin.summary)
    inputs: dict[str, Any] = {BRANCH: branched, PACE: pace, **(mark or {})}
    if ahead:
        inputs[EDITS] = [edit.model_dump() for edit in ahead]
    row = new_row(settings, inputs=inputs)
    artifacts = [
        each
        for each in store.records.artifacts(origin.key)
        if each.step <= moment.step and each.kind != WEIGHTS
    ]
    folder = job_dir(str(row["id"]))
    try:
        state = resume_path(str(row["id"]))
        _share(job_dir(origin.id) / moment.path, state)
        if not state.is_file():
            raise RunError(
                f"Run {origin.id} keeps no moment at step {moment.step:,} any more; choose another."
            )
        for each in artifacts:
            _share(job_dir(origin.id) / each.path, folder / each.path)
        _insert(store, origin, row, moment.step, events, artifacts)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return str(row["id"])


def _moment(store: Store, origin: Job, step: int | None) -> Artifact:
    kept = kept_states(store, origin)
    if not kept:
        raise RunError(f"Run {origin.id} kept no moment to go back to; train it again.")
    if step is None:
        return kept[-1]
    found = next((each for each in kept if each.step == step), None)
    if found is None:
        steps = [f"{each.step:,}" for each in kept]
        if len(steps) > SHOWN_STEPS:
            half = SHOWN_STEPS // 2
            steps = [*steps[:half], "…", *steps[-half:]]
        raise RunError(
            f"Run {origin.id} kept no moment at step {step:,}; "
            f"choose one of the steps {', '.join(steps)}."
        )
    return found


def _belongs(event: Event, step: int) -> bool:
    """Whether what happened to the other run happened to its branch too.

    A change at the very step was made after the moment was kept.
    """
    if event.kind == "change":
        return event.step < step
    return event.kind in ("started", *MEASURED) and event.step <= step


def _name(origin: Job, step: int) -> str:
    before = re.sub(r", from step [\d,]+$", "", origin.settings.name)[:NAMED]
    return f"{before or 'Branch'}, from step {step:,}"


def _share(source: Path, target: Path) -> None:
    """The same file in another folder, if it is there; a copy where it can have no second name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)


def _insert(
    store: Store,
    origin: Job,
    row: dict[str, Any],
    step: int,
    events: list[Event],
    artifacts: list[Artifact],
) -> None:
    """The new run with all its records in one transaction, so that no worker takes half of it."""
    table = schema.jobs
    with store.database.write() as db:
        values = row | {"done": step, "total": origin.total}
        db.execute(table.insert().values(**values))
        key = db.execute(sa.select(table.c.key).where(table.c.id == row["id"])).scalar_one()
        blocks.copy(db, origin.key, key, step)
        records = schema.epochs
        columns = [column for column in records.c if column.name != "job"]
        chosen = sa.select(sa.literal(key), *columns).where(
            (records.c.job == origin.key) & (records.c.step <= step)
        )
        names = ["job", *(column.name for column in columns)]
        db.execute(records.insert().from_select(names, chosen))
        insert_events(db, key, events)
        files = [{"job": key, **vars(a), "summary": json_line(a.summary)} for a in artifacts]
        if files:
            db.execute(schema.artifacts.insert(), files)
        epoch = _last_epoch(db, key)
        summary = {"about": origin.summary.get("about")} | ({"epoch": epoch} if epoch else {})
        summary = count_edits(summary, events)
        db.execute(table.update().where(table.c.key == key).values(summary=json.dumps(summary)))


def _last_epoch(db: sa.Connection, key: int) -> dict[str, Any] | None:
    table = schema.epochs
    query = sa.select(table).where(table.c.job == key).order_by(table.c.epoch.desc()).limit(1)
    found = db.execute(query).mappings().first()
    return {name: value for name, value in found.items() if name != "job"} if found else None
