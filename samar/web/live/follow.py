"""The server follows what is watched once, whoever watches, and tells all of them what is new.

A :class:`View` reads the store and says what changed; a :class:`Follower` looks, many times a
second, as long as somebody listens, and keeps the last messages, so that a browser that was away
for a moment goes on from its cursor. Any other gets everything.
"""

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol
from uuid import uuid4

from sqlalchemy.exc import OperationalError

from samar.errors import RunError
from samar.web.service import service

LOOK_SECONDS, REST_SECONDS = 0.04, 0.5
"""From one look at the store to the next, and where nothing is at work."""
LONGEST_SECONDS = 1.0
"""A store that nobody wrote to is looked at so often all the same: a dead worker writes nothing."""
LINGER_SECONDS = 5.0
"""So long one goes on that nobody listens to."""
KEPT = 256
"""Messages that are kept for who comes back."""
BEHIND = 200
"""Messages after which a listener that does not take them is let go."""


class View(Protocol):
    """Something that can be looked at again and again.

    Attributes:
        rest: seconds from one look to the next.
    """

    rest: float

    def read(self) -> None:
        """Look at the store.

        Raises:
            RunError: what is to be seen is not there.
        """

    def news(self) -> Mapping[str, Any]:
        """What changed since this was last asked, as plain JSON; empty if nothing did."""

    def whole(self) -> Mapping[str, Any]:
        """Everything, as it was when the store was last looked at."""


@dataclass(frozen=True)
class Message:
    """Something told, with the cursor of who has it."""

    cursor: str
    text: str

    @cached_property
    def event(self) -> bytes:
        """As an event of a stream, encoded once for all who listen."""
        return f"id: {self.cursor}\ndata: {self.text}\n\n".encode()


class Listener:
    """One browser: its messages wait here until they are sent."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue()

    def put(self, message: Message | None) -> None:
        """Called in the loop; None ends it."""
        self.queue.put_nowait(None if self.queue.qsize() > BEHIND else message)


class Follower:
    """Looks at a view for all who listen; ends when nobody does."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._name, self._number = uuid4().hex[:12], 0
        self._kept: deque[Message] = deque(maxlen=KEPT)
        self._whole: Message | None = None
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._left = time.monotonic()
        self._changes: object = None
        self._looked = 0.0

    @property
    def _cursor(self) -> str:
        return f"{self._name}-{self._number}"

    def begin(self) -> None:
        """Take the first look.

        Raises:
            RunError: what is to be seen is not there.
        """
        self._view.read()
        self._view.news()

    def join(self, listener: Listener, cursor: str) -> None:
        """Tell a listener what it has not, and what comes from now on."""
        with self._lock:
            for message in self._since(cursor):
                listener.loop.call_soon_threadsafe(listener.put, message)
            self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        """Tell a listener no more."""
        with self._lock:
            self._listeners.remove(listener)
            self._left = time.monotonic()

    def _since(self, cursor: str) -> list[Message]:
        name, _, number = cursor.partition("-")
        if name == self._name and number.isdecimal():
            missed = self._number - int(number)
            if 0 <= missed <= len(self._kept):
                return list(self._kept)[len(self._kept) - missed :]
        if self._whole is None or self._whole.cursor != self._cursor:
            self._whole = Message(self._cursor, _json(self._view.whole()))
        return [self._whole]

    def run(self) -> None:
        """Look and tell until nobody listens any more, or there is nothing to be seen."""
        while self._watched:
            began = time.monotonic()
            try:
                self._look()
            except OperationalError:  # the store is away for a moment
                pass
            except RunError as error:
                self._tell(_json({"gone": str(error)}))
                return
            spent = time.monotonic() - began
            time.sleep(max(self._view.rest - spent, spent, 0.005))

    @property
    def _watched(self) -> bool:
        with self._lock:
            return bool(self._listeners) or time.monotonic() - self._left < LINGER_SECONDS

    def _look(self) -> None:
        jobs = service()
        jobs.look_after()
        changes = jobs.store.database.changes()
        rested = time.monotonic() - self._looked
        if changes is not None and changes == self._changes and rested < LONGEST_SECONDS:
            return
        self._changes, self._looked = changes, time.monotonic()
        with self._lock:
            self._view.read()
            news = self._view.news()
        if news:
            self._tell(_json(news))

    def _tell(self, text: str) -> None:
        with self._lock:
            self._number += 1
            message = Message(self._cursor, text)
            self._kept.append(message)
            for listener in self._listeners:
                listener.loop.call_soon_threadsafe(listener.put, message)


_followers: dict[tuple[str, ...], Follower] = {}
_starting = threading.Lock()


def follow(key: tuple[str, ...], view: Callable[[], View]) -> Follower:
    """The follower of what a key names; the first who asks begins it.

    Raises:
        RunError: what is to be seen is not there.
    """
    with _starting:
        follower = _followers.get(key)
        if follower is None:
            follower = Follower(view())
            follower.begin()
            _followers[key] = follower
            threading.Thread(target=_run, args=(key, follower), daemon=True).start()
        return follower


def _run(key: tuple[str, ...], follower: Follower) -> None:
    try:
        follower.run()
    finally:
        with _starting:
            _followers.pop(key, None)


def _json(message: Mapping[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"), allow_nan=False)
