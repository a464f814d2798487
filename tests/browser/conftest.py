"""A Streamlit server per app and a Chromium that watches what the pages do."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.serving import serving

# Software WebGL: the machines that run the tests have no GPU.
CHROMIUM = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]
CHROMIUM += ["--enable-unsafe-swiftshader", "--enable-precise-memory-info"]
# Only WebGL is drawn as a GPU would; for the rest that takes a third longer.
CHROMIUM += ["--disable-gpu-rasterization", "--disable-gpu-compositing"]
LOCAL = {"127.0.0.1", "localhost", ""}
# The machine may train, serve and draw on two cores at once.
expect.set_options(timeout=60_000)


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
                addresses[app] = servers.enter_context(serving(home, app)).address
            return addresses[app]

        yield serve


@pytest.fixture
def serve_anew(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """``serve_anew(app)`` runs an app file on a server that nobody has visited yet."""
    with ExitStack() as servers:
        yield lambda app: servers.enter_context(serving(tmp_path, app)).address


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
        page.set_default_timeout(45_000)
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
