"""A Streamlit server per app and a Chromium that watches what the pages do."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.forked import end_workers
from tests.serving import serving

# Software WebGL: the machines that run the tests have no GPU.
CHROMIUM = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]
CHROMIUM += ["--enable-unsafe-swiftshader", "--enable-precise-memory-info"]
# Only WebGL is drawn as a GPU would; for the rest that takes a third longer.
CHROMIUM += ["--disable-gpu-rasterization", "--disable-gpu-compositing"]
_running: list[Browser] = []
LOCAL = {"127.0.0.1", "localhost", ""}
# The machine may train, serve and draw on two cores at once.
expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless; one for all folders whose tests take the fixture."""
    if _running:
        yield _running[0]
        return
    program = shutil.which("chromium")
    if program is None:
        message = "chromium is absent: apt-get install chromium"
        if os.environ.get("SAMAR_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        _running.append(browser)
        yield browser
        _running.clear()
        browser.close()


class Homes:
    """A folder for each app, made when it is first asked for."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self.known: dict[Path, Path] = {}
        self._factory = factory

    def __call__(self, app: Path) -> Path:
        if app not in self.known:
            self.known[app] = self._factory.mktemp("home")
        return self.known[app]


@pytest.fixture(scope="session")
def home_of(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    """``home_of(app)`` is the folder (``SAMAR_HOME``) where ``serve(app)`` keeps its runs."""
    return Homes(tmp_path_factory)


@pytest.fixture(scope="session")
def serve(home_of: Homes) -> Iterator[Callable[[Path], str]]:
    """``serve(app)`` runs an app file for the rest of the session and returns its address.

    The app keeps its runs in a folder of its own, shared by the tests of that app.
    """
    addresses: dict[Path, str] = {}
    with ExitStack() as servers:

        def serve(app: Path) -> str:
            if app not in addresses:
                server = servers.enter_context(serving(home_of(app), app, forks=True))
                addresses[app] = server.address
            return addresses[app]

        yield serve


@pytest.fixture(autouse=True)
def _no_job_outlives_its_test(home_of: Homes) -> Iterator[None]:
    """What a test that failed left running would slow down all others."""
    yield
    for home in home_of.known.values():
        end_workers(home)


@pytest.fixture
def serve_anew(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """``serve_anew(app)`` runs an app file on a server that nobody has visited yet."""
    with ExitStack() as servers:
        yield lambda app: servers.enter_context(serving(tmp_path, app, forks=True)).address


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
