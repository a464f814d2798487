"""What other sites and other machines cannot do to a server that runs."""

import asyncio
import http.client
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.campaign.visitor import Visitor, completed
from tests.serving import Server, serving

FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="weights.pth"\r\n\r\n'
    b"not a checkpoint\r\n--x--\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("home")) as server:
        yield server


def handshake(server: Server, host: str, origin: str | None) -> int:
    """The status with which a websocket's handshake is answered; 101 if it is accepted."""

    async def shake() -> int:
        try:
            async with connect(
                f"ws://{host}:{server.port}/_stcore/stream",
                host="127.0.0.1",
                port=server.port,
                origin=origin,  # type: ignore[arg-type]
                subprotocols=["streamlit"],  # type: ignore[list-item]
                proxy=None,
            ):
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    return completed(shake())


def ask(
    server: Server, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes]:
    """Status and body, of a path that is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    words = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body or None, words)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def test_its_own_pages_connect(server: Server) -> None:
    for host in ("127.0.0.1", "localhost"):
        assert handshake(server, host, f"http://{host}:{server.port}") == 101


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1.evil.example", "null"]
)
def test_another_site_does_not_connect(server: Server, origin: str) -> None:
    assert handshake(server, "127.0.0.1", origin) == 403


def test_a_name_that_was_pointed_here_does_not_connect(server: Server) -> None:
    """DNS rebinding: the site's own name, which now leads to this machine."""
    assert handshake(server, "evil.example", f"http://evil.example:{server.port}") == 403


def test_nobody_outside_is_asked_where_this_machine_is(server: Server) -> None:
    """Streamlit asks a public address for its own, about a foreign origin, and waits for it."""
    assert handshake(server, "127.0.0.1", "https://evil.example") == 403
    assert "external IP" not in server.log.read_text()


def test_answers_are_for_its_own_pages(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/_stcore/health", headers={"Origin": "https://evil.example"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200
    assert answer.getheader("Access-Control-Allow-Origin") is None


def test_an_upload_needs_the_cookie_and_its_token(server: Server) -> None:
    async def session() -> tuple[int, int, int, int]:
        async with connect(
            f"ws://127.0.0.1:{server.port}/_stcore/stream",
            subprotocols=["streamlit"],  # type: ignore[list-item]
            max_size=None,
            proxy=None,
        ) as socket:
            message = BackMsg()
            message.rerun_script.query_string = ""
            await socket.send(message.SerializeToString())
            id_ = ""
            while not id_:
                told = ForwardMsg()
                told.ParseFromString(bytes(await socket.recv()))  # type: ignore[arg-type]
                id_ = told.new_session.initialize.session_id
            path = f"/_stcore/upload_file/{id_}/0123"
            form = {"Content_Type": "multipart/form-data; boundary=x"}
            token = _token(server)

            async def put(**headers: str) -> int:
                return (await asyncio.to_thread(ask, server, "PUT", path, FORM, **form, **headers))[
                    0
                ]

            return (
                await put(),
                await put(Cookie=f"_streamlit_xsrf={token}"),
                await put(X_Xsrftoken=token),
                await put(Cookie=f"_streamlit_xsrf={token}", X_Xsrftoken=token),
            )

    assert completed(session()) == (403, 403, 403, 204)


def test_an_upload_has_a_size(server: Server) -> None:
    """The header alone says that it is too large: nothing of it is read."""
    token = _token(server)

    async def session() -> int:
        async with Visitor(server.port) as visitor:
            await visitor.visit()
            path = f"/_stcore/upload_file/{visitor.session}/0123"
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.putrequest("PUT", path)
            connection.putheader("Content-Type", "multipart/form-data; boundary=x")
            connection.putheader("Content-Length", str(501 * 1024 * 1024))
            connection.putheader("Cookie", f"_streamlit_xsrf={token}")
            connection.putheader("X-Xsrftoken", token)
            connection.endheaders(b"--x")
            status = await asyncio.to_thread(lambda: connection.getresponse().status)
            connection.close()
            return status

    assert completed(session()) == 413


def _token(server: Server) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/_stcore/health")
    answer = connection.getresponse()
    answer.read()
    cookies = answer.getheader("Set-Cookie") or ""
    connection.close()
    found = re.search(r"_streamlit_xsrf=([^;]+)", cookies)
    assert found is not None
    assert "samesite=lax" in cookies.lower()
    return found[1]


@pytest.mark.parametrize(
    "path",
    [
        "/app/static/../app.py",
        "/app/static/../.streamlit/config.toml",
        "/app/static/%2e%2e/app.py",
        "/app/static/..%2fapp.py",
        "/app/static/..%5capp.py",
        "/app/static/....//app.py",
        "/app/static//etc/passwd",
        "/app/static/%2fetc%2fpasswd",
        "/static/../../app.py",
        "/component/../app.py",
        "/media/../app.py",
    ],
)
def test_static_files_do_not_lead_elsewhere(server: Server, path: str) -> None:
    status, body = ask(server, "GET", path)
    assert b"st.App" not in body
    assert b"enableAgentApi" not in body
    assert b"root:" not in body
    assert status in (400, 403, 404) or b"<title>Streamlit" in body


def test_static_files_are_there(server: Server) -> None:
    status, body = ask(server, "GET", "/app/static/stage.js")
    assert status == 200
    assert b"export" in body


def test_the_door_for_programs_is_shut(server: Server) -> None:
    status, _ = ask(
        server, "POST", "/_stcore/agent/interact", b"{}", Content_Type="application/json"
    )
    assert status in (403, 404, 405)


def test_a_class_keeps_who_somebody_is(tmp_path: Path) -> None:
    """The cookie is set by the page, and one of another form is not taken."""
    with serving(tmp_path, SAMAR_ROLE="class") as server:
        first = word_given(server)
        assert first
        assert word_given(server, Cookie=f"samar_person={first}") is None
        assert word_given(server, Cookie="samar_person=anna") not in (None, first)


def test_who_comes_through_a_proxy_is_no_owner(server: Server) -> None:
    assert word_given(server) is None
    assert word_given(server, X_Forwarded_For="203.0.113.7")


def word_given(server: Server, **headers: str) -> str | None:
    """The word that a page puts into the cookie of a member of a class."""

    async def visit() -> str:
        async with Visitor(server.port, **headers) as visitor:
            await visitor.visit()
        assert not visitor.faults
        return " ".join(visitor.html)

    found = re.search(r'"([0-9a-f]{32})"', completed(visit()))
    return found[1] if found else None
