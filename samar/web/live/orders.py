"""Orders by POST: what a person wants of a job that is at work, numbered by the tab that asks."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from samar.errors import NotAllowed, SamarError
from samar.jobs.roles import Person, allow
from samar.jobs.service import Jobs
from samar.settings.declare import readable
from samar.web.live.access import visitor
from samar.web.person import asked_by
from samar.web.service import sentence_of, service

MOST_TABS = 10_000
MOST_BYTES = 100_000


class Asked(BaseModel):
    """An order as a tab sends it.

    Attributes:
        tab: a random word of the tab.
        number: 1 for its first order, and so on.
        command: one of :data:`COMMANDS`.
        detail: of a change the new values by setting, of a pace or a branch what is chosen.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    tab: str = Field(min_length=8, max_length=64)
    number: int = Field(ge=1, lt=2**53)
    command: str
    detail: dict[str, Any] = {}


def _branch(jobs: Jobs, job: str, step: int) -> dict[str, Any]:
    """Go on from a kept moment, as a run of its own; one that still trains ends for it."""
    run = jobs.get(job)
    allow(jobs.cannot_start(run.settings))
    if run.active:
        jobs.stop(run.id)
    return {"run": jobs.branch(run.id, step)}


COMMANDS: Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    **{word: (getattr(Jobs, word), ()) for word in ("pause", "resume", "step", "stop", "measure")},
    "change": (Jobs.change, ()),
    "pace": (Jobs.set_pace, ("pace",)),
    "branch": (_branch, ("step",)),
}
"""Each order with the names in its detail; a change has those of settings."""


class Tabs:
    """The number of the last order of each tab, so that none is carried out twice."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, tab: str, number: int) -> bool:
        """Whether an order is new."""
        with self._lock:
            if number <= self._last.pop(tab, 0):
                self._last[tab] = number
                return False
            self._last[tab] = number
            if len(self._last) > MOST_TABS:
                self._last.popitem(last=False)
            return True


_tabs = Tabs()


async def post(request: Request) -> JSONResponse:
    """Carry out, or pass on, one order; the answer is its number, by which it is heard of again.

    403 where it is not allowed, 409 where the tab has sent it before, 400 with a sentence where it
    does not fit.
    """
    person = visitor(request, acts=True)
    body = await request.body()
    try:
        if len(body) > MOST_BYTES:
            raise ValueError("it is too long")
        asked = Asked.model_validate_json(body)
    except ValidationError as error:
        return _problem(400, f"The order does not fit: {readable(error)}")
    except ValueError as error:
        return _problem(400, f"The order does not fit: {error}.")
    if asked.command not in COMMANDS:
        return _problem(400, f"There is no order {asked.command[:40]!r}.")
    if not _tabs.take(asked.tab, asked.number):
        return _problem(409, "This order was given before.")
    return await run_in_threadpool(_obey, person, request.path_params["job"], asked)


def _obey(person: Person, job: str, asked: Asked) -> JSONResponse:
    act, names = COMMANDS[asked.command]
    if asked.command != "change" and set(asked.detail) != set(names):
        return _problem(400, f"{asked.command} takes {' and '.join(names) or 'nothing else'}.")
    try:
        with asked_by(person):
            answer = act(service(), job, **asked.detail)
    except NotAllowed as error:
        return _problem(403, str(error))
    except (SamarError, OSError) as error:
        return _problem(400, sentence_of(error))
    return JSONResponse(answer if isinstance(answer, dict) else {"order": answer})


def _problem(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"problem": sentence}, status)
