"""News and orders over HTTP: what is told adds up after every break, and who may not is refused."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, ClassVar

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string

from samar.jobs.job import Job
from samar.jobs.service import Jobs
from samar.jobs.training_records import StepRecord
from samar.training.settings import TrainSettings
from samar.web.live import follow, stream
from samar.web.server import routes
from samar.web.service import service

NUMBERS = (2, 1.0, 1.1, 0.1, 1.0, 0.5, 1.0, 0.1, 3, 0.2)


@pytest.fixture
def jobs(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Jobs that nobody starts; the server's, too."""
    monkeypatch.setattr("samar.jobs.service.schedule", lambda store: None)
    monkeypatch.setattr(follow, "LINGER_SECONDS", 0.1)
    service.clear()
    return Jobs()


@pytest.fixture
def run(jobs: Jobs) -> Job:
    """One that this process has."""
    jobs.submit(TrainSettings(optimizer="sam", rho=0.05))
    job = jobs.store.claim_next("long", 1)
    assert job is not None
    return job


@pytest.fixture
def ask(jobs: Jobs) -> Iterator[Callable[..., Any]]:
    """``ask(job, command, number=…, **detail)`` sends an order as a page of the server does."""
    token = generate_xsrf_token_string()
    with TestClient(Starlette(routes=routes()), base_url="http://localhost") as client:

        def ask(
            job: Job,
            command: str,
            number: int = 1,
            headers: dict[str, str] | None = None,
            cookies: str = f"_streamlit_xsrf={token}",
            **detail: Any,
        ) -> Any:
            sent = {"Cookie": cookies, "X-Xsrftoken": token, "Origin": "http://localhost"}
            body = {"tab": f"{id(client)}-tab", "number": number, "command": command}
            address = f"/live/{job.key}/orders"
            return client.post(
                address, json=body | {"detail": detail}, headers=sent | (headers or {})
            )

        ask.token = token  # type: ignore[attr-defined]
        yield ask


def test_an_order_is_passed_on_once(ask: Any, run: Job, jobs: Jobs) -> None:
    answer = ask(run, "change", rho=0.2)
    assert answer.status_code == 200
    (order,) = jobs.store.orders.after(0, run.key)
    assert answer.json() == {"order": order.key}
    assert (order.command, order.detail["rho"], order.detail["by"]) == ("change", 0.2, "browser")
    assert ask(run, "change", rho=0.3).status_code == 409
    assert ask(run, "pause", number=2).json() == {"order": order.key + 1}
    assert ask(run, "pause", number=1).status_code == 409
    assert len(jobs.store.orders.after(0, run.key)) == 2


@pytest.mark.parametrize(
    ("command", "detail", "sentence"),
    [
        ("change", {"rho": 9.0}, "rho is 9.0, but it must be at most 5"),
        ("change", {"rho": "wide"}, "rho is 'wide'"),
        ("change", {"seed": 1}, "seed cannot change while a run trains"),
        ("change", {"job_id": "x", "self": "y"}, "cannot change while a run trains"),
        ("pace", {"pace": "slow"}, "The pace is 'slow'"),
        ("pace", {}, "pace takes pace."),
        ("stop", {"now": True}, "stop takes nothing else."),
        ("branch", {"step": 7}, "kept no moment to go back to"),
        ("delete", {}, "There is no order 'delete'."),
    ],
)
def test_what_does_not_fit_is_said(
    ask: Any, run: Job, jobs: Jobs, command: str, detail: dict[str, Any], sentence: str
) -> None:
    answer = ask(run, command, **detail)
    assert answer.status_code == 400
    assert sentence in answer.json()["problem"]
    assert not [o for o in jobs.store.orders.after(0, run.key) if o.command != "stop"]


def test_who_comes_from_elsewhere_is_refused(ask: Any, run: Job, jobs: Jobs) -> None:
    for wrong in (
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"X-Xsrftoken": ""},
        {"X-Xsrftoken": generate_xsrf_token_string()},
        {"Cookie": ""},
    ):
        assert ask(run, "stop", headers=wrong).status_code == 403, wrong
    assert not jobs.store.orders.after(0, run.key)


def test_a_class_steers_its_own_runs_alone(
    ask: Any, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, ben = "a" * 32, "b" * 32
    cookie = f"_streamlit_xsrf={ask.token}; samar_person="
    monkeypatch.setenv("SAMAR_ROLE", "class")
    with TestClient(Starlette(routes=routes()), base_url="http://localhost"):
        from samar.web.person import asked_by, person_by

        with asked_by(person_by({}, {"samar_person": anna})):
            service().submit(TrainSettings())
    job = jobs.store.claim_next("long", 1)
    assert job is not None
    refused = ask(job, "stop", cookies=cookie + ben)
    assert refused.status_code == 403
    assert "was started by somebody else" in refused.json()["problem"]
    assert ask(job, "stop", number=2, cookies=cookie + "none").status_code == 403
    assert ask(job, "stop", number=3, cookies=cookie + anna).status_code == 200
    monkeypatch.setenv("SAMAR_ROLE", "view")
    assert "only shows jobs" in ask(job, "pause", number=4).json()["problem"]


@pytest.fixture
def port(jobs: Jobs) -> Iterator[int]:
    """Of a server with our own routes alone."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(Starlette(routes=routes()), log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield int(listening.getsockname()[1])
        while Tab.open:
            Tab.open.pop().close()
        server.should_exit = True
        thread.join(10)


class Tab:
    """One browser's stream."""

    open: ClassVar[list["Tab"]] = []

    def __init__(self, port: int, run: Job | str, since: str = "", **headers: str) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=20)
        sent = {"Accept": "text/event-stream"} | headers
        address = f"/live/{run}" if isinstance(run, str) else f"/live/{run.key}?since={since}"
        self.connection.request("GET", address, headers=sent)
        self.answer: HTTPResponse = self.connection.getresponse()
        self.cursor = since
        self.open.append(self)

    def close(self) -> None:
        self.answer.close()
        self.connection.close()

    def hear(self) -> dict[str, Any]:
        """The next message."""
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                self.cursor = line[4:]
            elif line.startswith("data: {"):
                message: dict[str, Any] = json.loads(line[6:])
                return message


def take_steps(jobs: Jobs, run: Job, first: int, last: int) -> None:
    jobs.store.records.append(run.key, [StepRecord(s, *NUMBERS) for s in range(first, last + 1)])


def rows(message: dict[str, Any]) -> int:
    """From which row on a message brings steps."""
    return int(message["members"][0]["tables"]["steps"]["from"])


def test_a_stream_goes_on_from_its_cursor(port: int, run: Job, jobs: Jobs) -> None:
    tab, other = Tab(port, run), Tab(port, run)
    assert tab.hear()["anew"]
    assert other.hear()["job"]["live"]["rho"] == 0.05
    take_steps(jobs, run, 1, 3)
    assert rows(tab.hear()) == 0
    assert rows(other.hear()) == 0
    assert tab.cursor == other.cursor
    tab.close()
    take_steps(jobs, run, 4, 5)
    assert rows(other.hear()) == 3
    # A proxy cut it, or the laptop slept: only what was missed comes.
    again = Tab(port, run, tab.cursor)
    assert rows(again.hear()) == 3
    assert again.cursor == other.cursor
    header = Tab(port, run, **{"Last-Event-ID": tab.cursor})
    assert rows(header.hear()) == 3
    # Of another server, or too long ago: everything comes.
    for strange in ("", "nobody-3", f"{tab.cursor}9"):
        anew = Tab(port, run, strange).hear()
        assert anew["anew"]
        assert rows(anew) == 0


def test_where_streams_are_held_back_polls_say_the_same(port: int, run: Job, jobs: Jobs) -> None:
    def poll(since: str) -> list[list[str]]:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", f"/live/{run.key}?since={since}")
        messages: list[list[str]] = json.loads(connection.getresponse().read())["messages"]
        connection.close()
        return messages

    ((cursor, text),) = poll("")
    assert json.loads(text)["anew"]
    threading.Timer(0.3, take_steps, (jobs, run, 1, 2)).start()
    ((later, text), *_) = poll(cursor)
    assert rows(json.loads(text)) == 0
    assert later != cursor


def test_what_is_not_there_and_what_goes_is_said(port: int, run: Job, jobs: Jobs) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/live/77")
    answer = connection.getresponse()
    assert answer.status == 404
    assert "There is no run '77'" in json.loads(answer.read())["problem"]
    connection.close()
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert Tab(port, run, **headers).answer.status == 403
    tab = Tab(port, run)
    tab.hear()
    assert jobs.store.move(run, "stopped")
    assert tab.hear()["job"]["status"] == "stopped"
    jobs.delete(run.id)
    assert "There is no run" in tab.hear()["gone"]


def test_how_far_jobs_are(port: int, run: Job, jobs: Jobs) -> None:
    waits = jobs.get(jobs.submit(TrainSettings()))
    queue, one = Tab(port, "queue?view=progress"), Tab(port, f"{run.key}?view=progress")
    told = queue.hear()["jobs"]
    assert list(told) == [str(run.key), str(waits.key)]
    assert told[str(waits.key)]["words"] == "waits for its turn"
    before = one.hear()["jobs"][str(run.key)]
    jobs.store.beat(run, done=30, total=60)
    now = one.hear()["jobs"][str(run.key)]
    assert (now["share"], now["state"]) == (0.5, before["state"]), "a page stays as it is"
    assert now["words"].startswith("30 of 60")
    assert queue.hear()["jobs"][str(run.key)]["share"] == 0.5
    jobs.store.move(run, "stopped")
    assert one.hear()["jobs"][str(run.key)]["state"] != now["state"]
    assert list(queue.hear()["jobs"]) == [str(waits.key)]
    jobs.delete(run.id)
    assert one.hear() == {"jobs": {}}


def test_the_store_is_followed_once(
    port: int, run: Job, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    read = stream.StageView.read
    monkeypatch.setattr(stream.StageView, "read", lambda self: (looks.append(1), read(self))[1])
    tabs = [Tab(port, run) for _ in range(12)]
    for tab in tabs:
        tab.hear()
    before = len(looks)
    take_steps(jobs, run, 1, 2)
    assert {rows(tab.hear()) for tab in tabs} == {0}
    assert len(looks) - before < 4
    for tab in tabs:
        tab.close()
    deadline = time.monotonic() + 10
    while follow._followers and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not follow._followers
