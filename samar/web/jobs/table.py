"""Tables of jobs: a filter, and rows that can be selected."""

import math
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from samar.jobs.job import Job
from samar.jobs.kind import kinds
from samar.jobs.store import MEMBER
from samar.jobs.summary import MARKS, epochs, places, progress
from samar.web.text import holds

SEARCHED = ("optimizer", "rule", "model", "dataset", "network")
PERCENT = st.column_config.NumberColumn(format="percent")
TALLEST = 520
MOST_ROWS = 300
"""Of a table, which travels whole whenever it is drawn; pinned and selected ones come besides."""
KEPT_FOR_ITSELF = ("begun", "since", "edits", "compile_seconds")
"""What a job's summary holds beside what it found."""


def filtered(jobs: Sequence[Job]) -> list[Job]:
    """Draw the filter and return what passes it, pinned jobs first, then the newest."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="runs_filters"):
        words = st.text_input(
            "Filter",
            key="filter",
            bind="query-params",
            max_chars=80,
            placeholder="name, tag, status, optimizer, data set…",
            help="Every word must occur, in any of these, in the kind or in the id.",
            width=360,
        )
        pinned = st.toggle("Pinned only", key="pinned", bind="query-params")
        in_sweep = sum(map(_of_sweep, jobs))
        members = in_sweep and st.toggle(
            f"Members of sweeps ({in_sweep})", key="sweeps", bind="query-params"
        )
    passed = [
        job
        for job in jobs
        if (not pinned or job.pinned)
        and (members or not _of_sweep(job))
        and holds(_searched(job), words or "")
    ]
    return sorted(passed, key=lambda job: not job.pinned)


def select_jobs(
    jobs: Sequence[Job], key: str, selected: Sequence[str] = (), *, runs: bool = True
) -> list[Job]:
    """Draw a table in which rows can be selected, and return the selected jobs.

    Of many jobs it shows the first, those that are pinned and those that are selected.

    Args:
        jobs: the rows, in order.
        selected: ids selected when the table first appears.
        runs: whether all are training runs, with accuracies to show.
    """
    everything = len(jobs)
    jobs = [
        job
        for place, job in enumerate(jobs)
        if place < MOST_ROWS or job.pinned or job.id in selected
    ]
    # Another list of jobs is another table, so that a selection never slides to another job.
    known = zlib.crc32(" ".join(job.id for job in jobs).encode())
    rows = [number for number, job in enumerate(jobs) if job.id in selected]
    chosen = st.dataframe(
        pd.DataFrame(
            [_row(job, runs) | place for job, place in zip(jobs, places(jobs), strict=True)]
        ),
        key=f"{key}_{known}",
        height=min(TALLEST, 40 + 35 * len(jobs)),
        placeholder="",
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": rows}} if rows else None,
        column_config={
            **dict.fromkeys(("train", "test", "gap"), PERCENT),
            "pin": st.column_config.TextColumn("", width=24, help="★ is pinned"),
            "#": st.column_config.NumberColumn(width=40),
            "name": st.column_config.TextColumn(width=380 if runs else 230),  # leaves room for ids
            "tags": st.column_config.ListColumn(width="small"),
            "time": st.column_config.DatetimeColumn(format="D MMM HH:mm"),
        },
        alt="Jobs, pinned ones first, with status and results.",
    )
    if len(jobs) < everything:
        st.caption(f"{len(jobs):,} of {everything:,}; the filter finds the others.")
    return [jobs[row] for row in chosen["selection"]["rows"] if row < len(jobs)]


def kind_title(job: Job) -> str:
    """The kind of a job, for people."""
    known = kinds().get(job.kind)
    return known.title if known else job.kind


def result_of(job: Job) -> str:
    """What a job found, in a few numbers."""
    if (last := job.last_epoch) is not None:
        if math.isfinite(last.test_accuracy):
            return f"test accuracy {last.test_accuracy:.2%}"
        for name, value in (("test", last.test_loss), ("training", last.train_loss)):
            if math.isfinite(value):
                return f"{name} loss {value:.4g}"
        return ""
    if leader := job.summary.get("leader"):
        return f"{leader}: test accuracy {job.summary['test_accuracy']:.2%}"
    parts = []
    for name, value in job.summary.items():
        if name in KEPT_FOR_ITSELF:
            continue
        if name == "eigenvalues" and value:
            parts.append(f"h₁ {value[0]:.4g}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            shown = f"{value:.2%}" if name.endswith("accuracy") else f"{value:.4g}"
            parts.append(f"{name.replace('_', ' ')} {shown}")
    return ", ".join(parts[:3])


def _row(job: Job, run: bool) -> dict[str, Any]:
    last = job.last_epoch
    spent = (job.finished or 0) - (job.started or 0)
    own: dict[str, Any] = {"pin": "★" if job.pinned else "", "#": job.key}
    own |= {} if run else {"kind": kind_title(job)}
    own |= {"name": _name(job), "status": MARKS[job.status], "tags": list(job.tags)}
    if run:
        racing = job.summary.get("members", {}).values()  # of a race, which trains them together
        epoch = last.epoch if last else max((each["epoch"] for each in racing), default=0)
        own |= {
            "epoch": epochs(job, epoch),
            "train": last.train_accuracy if last else None,
            "test": last.test_accuracy if last else None,
            "gap": last.gap if last else None,
            "seconds": round(last.seconds, 1) if last else None,
        }
    else:
        own |= {
            "result": progress(job) if job.active else result_of(job),
            "seconds": round(spent, 1) if job.started and job.finished else None,
        }
    return own | {"time": datetime.fromtimestamp(job.created), "id": job.id}


def _name(job: Job) -> str:
    """What a job is called, with the settings of a named run."""
    called = f"Race: {job.title}" if job.kind == "race" else job.title
    return called + (f" ({job.details})" if job.details else "") + job.badge


def _of_sweep(job: Job) -> bool:
    """Whether a job is one of many of a sweep; those of a race stand for themselves."""
    return job.parent is not None and MEMBER not in job.inputs


def _searched(job: Job) -> str:
    own = (str(getattr(job.settings, name, "")) for name in SEARCHED)
    words = (job.label, *job.tags, job.status, job.kind, kind_title(job), job.id)
    return " ".join((*words, *own))
