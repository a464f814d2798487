"""A visitor without a browser: a session that speaks Streamlit's websocket protocol.

It keeps what it was sent (widgets, pages, exceptions), answers the timers of fragments as a browser
does, and times how long a run of the script takes.
"""

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from google.protobuf.message import Message
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

MOST_BYTES = 1 << 28
NOT_FOUND = "was not found"
T = TypeVar("T")


def completed(work: Coroutine[Any, Any, T]) -> T:
    """Its result, from an event loop in a thread of its own.

    After a browser test the main thread has a loop that runs: Playwright's.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class Visitor:
    """One session.

    Args:
        headers: of its first request, such as ``Cookie`` or ``X_Forwarded_For``.

    Attributes:
        faults: exceptions that were shown, pages that were not found, connections that were lost.
        pages: of the app, by their path in the address; the hash that names them.
        widgets: what can be operated on the page, by its id.
        html: what the page holds as HTML.
        session: the id that the server gave it.
    """

    def __init__(self, port: int, name: str = "visitor", **headers: str) -> None:
        self.port, self.name = port, name
        self.headers = {word.replace("_", "-"): each for word, each in headers.items()}
        self.faults: list[str] = []
        self.pages: dict[str, str] = {}
        self.widgets: dict[str, Message] = {}
        self.html: list[str] = []
        self.session = ""
        self.page = ""
        self.bytes = 0
        self._query = ""
        self._values: dict[str, dict[str, Any]] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._finished = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._leaving = self._reload = False

    async def __aenter__(self) -> "Visitor":
        await self._enter()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._leave()

    async def _enter(self) -> None:
        self._leaving = False
        self.pages = {}
        self._socket = await connect(
            f"ws://127.0.0.1:{self.port}/_stcore/stream",
            origin=f"http://127.0.0.1:{self.port}",  # type: ignore[arg-type]
            subprotocols=["streamlit"],  # type: ignore[list-item]
            additional_headers=self.headers,
            max_size=MOST_BYTES,
            open_timeout=60,
            ping_interval=None,
            proxy=None,
        )
        self._reader = asyncio.create_task(self._read())

    async def _leave(self) -> None:
        self._leaving = True
        for timer in self._timers.values():
            timer.cancel()
        assert self._socket is not None
        assert self._reader is not None
        await self._socket.close()
        with suppress(asyncio.CancelledError):
            await self._reader

    async def visit(self, path: str = "", query: str = "", timeout: float = 120) -> float:
        """Open a page, as by a link, and wait until it is drawn; the seconds that it took."""
        self.page, self._query = path, query
        self._stop_timers()
        self.widgets, self._values = {}, {}
        seconds = await self._run(timeout)
        if self._reload:  # as the page's script asks of a browser
            self._reload = False
            self.faults = [each for each in self.faults if NOT_FOUND not in each]
            await self._leave()
            await self._enter()
            return seconds + await self.visit(path, query, timeout)
        return seconds

    async def operate(self, widget: str, timeout: float = 120, **value: Any) -> float:
        """Give a widget a value (``double_array_value=[0.1]``) and wait; the seconds it took."""
        self._values[widget] = value
        return await self._run(timeout)

    def named(self, key: str) -> str | None:
        """The id of the widget with a key, if there is one."""
        return next((each for each in self.widgets if each.endswith(f"-{key}")), None)

    async def _run(self, timeout: float) -> float:
        began = time.perf_counter()
        self._finished.clear()
        await self._send()
        try:
            await asyncio.wait_for(self._finished.wait(), timeout)
        except asyncio.TimeoutError:
            self._fault(f"was not drawn within {timeout:g} s")
        return time.perf_counter() - began

    async def _send(self, fragment: str = "") -> None:
        message = BackMsg()
        state = message.rerun_script
        state.query_string = self._query
        state.page_script_hash = self.pages.get(self.page, "")
        if not state.page_script_hash:
            state.page_name = self.page
        state.fragment_id = fragment
        state.is_auto_rerun = bool(fragment)
        address = f"http://127.0.0.1:{self.port}"
        state.context_info.url = f"{address}/{self.page}"
        state.context_info.timezone = "UTC"
        for name, value in self._values.items():
            widget = state.widget_states.widgets.add(id=name)
            for kind, content in value.items():
                if kind == "double_array_value":
                    widget.double_array_value.data.extend(content)
                elif kind == "string_array_value":
                    widget.string_array_value.data.extend(content)
                else:
                    setattr(widget, kind, content)
        for value in list(self._values.values()):
            value.pop("trigger_value", None)
        self._values = {name: value for name, value in self._values.items() if value}
        assert self._socket is not None
        try:
            await self._socket.send(message.SerializeToString())
        except ConnectionClosed as error:
            self._lost(error)

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for data in self._socket:
                assert isinstance(data, bytes)
                self.bytes += len(data)
                message = ForwardMsg()
                message.ParseFromString(data)
                self._take(message)
            self._lost("closed by the server")
        except ConnectionClosed as error:
            self._lost(error)

    def _take(self, message: ForwardMsg) -> None:
        match message.WhichOneof("type"):
            case "navigation":
                pages = message.navigation.app_pages
                self.pages = {
                    "" if page.is_default else page.url_pathname: page.page_script_hash
                    for page in pages
                }
            case "new_session":
                self.session = message.new_session.initialize.session_id
            case "delta":
                self._see(message.delta)
            case "auto_rerun":
                self._time(message.auto_rerun.fragment_id, message.auto_rerun.interval)
            case "stop_auto_rerun":
                for name in message.stop_auto_rerun.fragment_ids:
                    self._stop_timer(name)
            case "page_not_found":
                self._fault(NOT_FOUND)
            case "session_event":
                event = message.session_event
                if event.WhichOneof("type") == "script_compilation_exception":
                    self._fault(event.script_compilation_exception.message)
            case "page_info_changed":
                self._query = message.page_info_changed.query_string
            case "script_finished":
                whole = (
                    ForwardMsg.FINISHED_SUCCESSFULLY,
                    ForwardMsg.FINISHED_WITH_COMPILE_ERROR,
                )
                if message.script_finished in whole:
                    self._finished.set()

    def _see(self, delta: Any) -> None:
        if delta.WhichOneof("type") != "new_element":
            return
        kind = delta.new_element.WhichOneof("type")
        element = getattr(delta.new_element, kind) if kind else None
        if kind == "exception":
            self._fault(f"shows {element.type}: {element.message} {''.join(element.stack_trace)}")
        elif kind == "html":
            self.html.append(element.body)
            self._reload |= "location.reload()" in element.body
        elif name := getattr(element, "id", ""):
            self.widgets[name] = element

    def _time(self, fragment: str, seconds: float) -> None:
        self._stop_timer(fragment)

        async def tick() -> None:
            while True:
                await asyncio.sleep(seconds)
                await self._send(fragment)

        self._timers[fragment] = asyncio.create_task(tick())

    def _stop_timer(self, fragment: str) -> None:
        if (timer := self._timers.pop(fragment, None)) is not None:
            timer.cancel()

    def _stop_timers(self) -> None:
        for fragment in list(self._timers):
            self._stop_timer(fragment)

    def _lost(self, why: object) -> None:
        if not self._leaving:
            self._fault(f"lost its connection ({why})")
        self._finished.set()

    def _fault(self, what: str) -> None:
        self.faults.append(f"{self.name} on /{self.page} {what}".strip())
