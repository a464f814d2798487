"""Rows of bars that show how far jobs are; the server's stream moves them, and no script runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from samar.jobs.job import Job
from samar.web.live.progress import standing
from samar.web.server import component

REST_MS = 400
_component = component(
    "samar_progress", html="progress.html.j2", css="progress.css", js="progress.js"
)


def progress(
    jobs: Sequence[Job],
    *,
    key: str,
    titles: Mapping[int, str] | None = None,
    buttons: Callable[[Job], Mapping[str, Any]] = lambda job: {},
    name: str | None = None,
    rest: int = REST_MS,
) -> int | None:
    """Draw a bar for each job; the page, or fragment, is run again when what it draws has changed.

    Args:
        jobs: those that the page depends on.
        titles: by number, those that have a row, with its title; all that are active if None.
        buttons: what a row offers: ``open``, ``stop`` with its label, ``whyNot`` it is disabled.
        name: of the jobs in the stream's address; their numbers if None.
        rest: the page is run again after so many milliseconds at the earliest.

    Returns:
        The number of the job whose ``open`` was pressed just now.
    """
    stand = {job.key: standing(job) for job in jobs}
    if titles is None:
        titles = {job.key: str(job.inputs.get("title", job.title)) for job in jobs if job.active}
    rows = [
        {"number": job.key, "title": titles[job.key], **stand[job.key], **buttons(job)}
        for job in jobs
        if job.key in titles
    ]
    state = _component(
        key=key,
        data={
            "numbers": name or ",".join(map(str, stand)),
            "rows": [{k: v for k, v in row.items() if k != "state"} for row in rows],
            "drawn": {str(number): stands["state"] for number, stands in stand.items()},
            "rest": rest,
        },
        on_moved_change=lambda: None,
        on_open_change=lambda: None,
    )
    return None if state.open is None else int(state.open)
