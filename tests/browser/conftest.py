"""A Streamlit server per app and a Chromium that watches what the pages do."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
# Software WebGL: the machines that run the tests have no GPU.
CHROMIUM = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]
CHROMIUM += ["--enable-unsafe-swiftshader", "--enable-precise-memory-info"]
LOCAL = {"127.0.0.1", "localhost", ""}
# The machine may train, serve and draw on two cores at once.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    program = shutil.which("chromium")
    if program is None:
        message = "chromium is absent: apt-get install chromium"
        if os.environ.get("SAMAR_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], str]]:
    """``serve(app)`` runs an app file for the rest of the session and returns its address.

    The app keeps its runs in a folder of its own (``SAMAR_HOME``), shared by the tests of that app.
    """
    addresses: dict[Path, str] = {}
    with ExitStack() as servers:

        def serve(app: Path) -> str:
            if app not in addresses:
                home = tmp_path_factory.mktemp("home")
                addresses[app] = servers.enter_context(_streamlit(app, home))
            return addresses[app]

        yield serve


@pytest.fixture
def serve_anew(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """``serve_anew(app)`` runs an app file on a server that nobody has visited yet."""
    with ExitStack() as servers:
        yield lambda app: servers.enter_context(_streamlit(app, tmp_path))


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """``visit(url, **options)`` opens a page in a browser context of its own.

    Options are those of Playwright's ``new_context`` (``viewport``, ``color_scheme``, …).
    The test fails on a JavaScript error, on an exception shown by Streamlit and on any request that
    leaves this machine, in any page that it visited.
    """
    faults: list[str] = []
    pages: list[Page] = []

    def watch(page: Page) -> None:
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: faults.append(f"page error: {error.stack}"))
        for event in ("request", "websocket"):
            page.on(event, lambda request: _check_local(request.url, faults))
        pages.append(page)

    def visit(url: str, **options: object) -> Page:
        context = chromium.new_context(**options)  # type: ignore[arg-type]
        context.on("page", watch)  # also what a link opens in a new tab
        page = context.new_page()
        page.goto(url)
        return page

    yield visit
    open_pages = [page for page in pages if not page.is_closed()]
    for page in open_pages:
        shown = page.locator("[data-testid=stException]").all_inner_texts()
        faults += [f"exception on {page.url}: {text}" for text in shown]
    for context in {page.context for page in open_pages}:
        context.close()
    assert not faults, "\n".join(faults)


def _check_local(url: str, faults: list[str]) -> None:
    address = urlsplit(url)
    if address.scheme in ("http", "https", "ws", "wss") and address.hostname not in LOCAL:
        faults.append(f"request to {url}")


@contextmanager
def _streamlit(app: Path, home: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port)]
    command += ["--server.headless", "true", "--server.fileWatcherType", "none"]
    command += ["--client.showErrorDetails", "full"]  # a traceback in the page is one in the report
    environment = os.environ | {"SAMAR_HOME": str(home), "PYTHONPATH": str(ROOT)}
    log = home / "server.log"
    with log.open("wb") as output:
        # In the repository root, whose .streamlit/config.toml is what users get.
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_healthy(server, address, log)
            yield address
        finally:
            workers = psutil.Process(server.pid).children(recursive=True)
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            for worker in workers:
                with suppress(psutil.NoSuchProcess):
                    worker.kill()


def _wait_until_healthy(server: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    pytest.fail(f"Streamlit did not start at {address}:\n{log.read_text(errors='replace')}")
