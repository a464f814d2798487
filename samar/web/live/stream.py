"""The stream: ``GET live/{jobs}?view=VIEW&since=CURSOR``, server-sent events or long polls.

A browser that asks for ``text/event-stream`` gets events as they come, each with the cursor from
which a reconnect goes on. Any other gets what is new as one JSON answer, as soon as there is
something: so it works behind a proxy that holds streams back.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from samar.errors import SamarError
from samar.web.live.access import visitor
from samar.web.live.follow import Follower, Listener, Message, View, follow
from samar.web.live.progress import ProgressView
from samar.web.live.stage import StageView
from samar.web.person import asked_by

VIEWS: Mapping[str, Callable[[tuple[str, ...]], View]] = {
    "stage": StageView,
    "progress": ProgressView,
}
"""What can be followed, by its name in the address."""
MOST_JOBS = 64
BEAT_SECONDS = 5.0
"""A stream says so often that it is there."""
POLL_SECONDS = 20.0
"""So long an answer waits for news."""
WAKE_SECONDS = 0.5
"""From one look whether the server ends to the next."""
UNHELD = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def get(request: Request) -> Response:
    """What there is to be told of some jobs; 404 where there is none such."""
    person = visitor(request)
    name = request.query_params.get("view", "stage")
    jobs = tuple(request.path_params["jobs"].split(","))[:MOST_JOBS]
    if name not in VIEWS:
        return JSONResponse({"problem": f"There is no view {name[:40]!r}."}, 404)
    try:
        with asked_by(person):
            follower = await run_in_threadpool(follow, (name, *jobs), partial(VIEWS[name], jobs))
    except SamarError as error:
        return JSONResponse({"problem": str(error)}, 404)
    cursor = request.headers.get("Last-Event-ID") or request.query_params.get("since", "")
    if "text/event-stream" in request.headers.get("Accept", ""):
        events = _events(follower, cursor)
        return StreamingResponse(events, media_type="text/event-stream", headers=UNHELD)
    return await _poll(follower, cursor)


async def _events(follower: Follower, cursor: str) -> AsyncIterator[bytes]:
    listener = Listener()
    await run_in_threadpool(follower.join, listener, cursor)
    due = 0.0  # the first beat comes at once: there may be no news for long
    try:
        while not _ending():
            if time.monotonic() >= due:
                due = time.monotonic() + BEAT_SECONDS
                yield b"event: beat\ndata: \n\n"
            try:
                message = await asyncio.wait_for(listener.queue.get(), WAKE_SECONDS)
            except asyncio.TimeoutError:
                continue
            if message is None:
                return
            yield message.event
    finally:
        follower.leave(listener)


async def _poll(follower: Follower, cursor: str) -> JSONResponse:
    listener = Listener()
    await run_in_threadpool(follower.join, listener, cursor)
    messages: list[Message | None] = []
    try:
        messages.append(await asyncio.wait_for(listener.queue.get(), POLL_SECONDS))
        while not listener.queue.empty():
            messages.append(listener.queue.get_nowait())
    except asyncio.TimeoutError:
        pass
    finally:
        follower.leave(listener)
    told = [(message.cursor, message.text) for message in messages if message is not None]
    return JSONResponse({"messages": told}, headers=UNHELD)


def _ending() -> bool:
    """Whether the server was told to end: it waits for streams that are open, for ever."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))
