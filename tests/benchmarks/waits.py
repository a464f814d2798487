"""What a person waits for: the first λ, the first picture of a landscape, the first eigenvalue.

Each wait is timed inside the page, from the click on a button to the first frame in which what was
asked for stands there; where that comes unasked, from the opening of the page. Several fresh
servers are visited one after the other; on each, the first wait of a kind is its cold one, and
those that follow come after a rest in which a process may be made ready. Then the memory of the
server is read, with ``--memory`` after a drive of so many minutes. Run it on a machine that does
nothing else; each wait is printed with the load average, so that one which others disturbed can be
told.

    python -m tests.benchmarks.waits [--app app.py] [--servers 3] [--again 2] [--memory 0] [--flat]

``--app`` is the app of this checkout or of another one, which then also serves and trains.
"""

import argparse
import json
import math
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote_plus

import psutil
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout


@dataclass(frozen=True)
class Sign:
    """Something on a page that ends a wait.

    Attributes:
        selector: of elements.
        words: regular expression that the text of one of them must hold.
    """

    selector: str
    words: str = ""


@dataclass(frozen=True)
class Wait:
    """A button and what it leads to.

    Attributes:
        path: of the page in the app; ``{run}`` is the id of the finished run, ``{label}`` its name
            in lists, ``{seed}`` another number each time.
        button: selector of the button.
        first: what a person waits for.
        end: when nothing more will come, if that is later.
    """

    path: str
    button: str
    first: Sign
    end: Sign | None = None


# What the pages are called and what stands on them: the only part that knows them.

LAMBDA = Sign(".stage-tile-lam .scatterlayer path.js-line")
TRAIN_NOW = Wait("/", ".st-key-train_now button", LAMBDA)
LONG_RUN = Wait("/train?epochs=10000", ".st-key-button_start button", LAMBDA)
STOP = Wait("", ".st-key-button_stop button", Sign(".stage-status", "Stopped"))
LANDSCAPE = Wait(
    "/landscape?l_run={label}&l_seed={seed}",
    ".st-key-l_compute button",
    Sign(".st-key-contour_1 .contourlayer path"),
    Sign("[data-testid=stMain]", "measured on"),
)
CURVATURE = Wait(
    "/curvature?curvature_run1={label}&curvature_seed={seed}",
    ".st-key-curvature_compute button",
    # In version 0.1 no eigenvalue was shown before all were found.
    Sign("[class*=st-key-curvature_estimates_] path.js-line, .st-key-curvature_summary"),
    Sign(".st-key-curvature_summary", r"(λ\S*max|h₁) [\d.]+"),
)
LABEL = "{name} · {run}"
IDLE = ".stApp[data-test-script-state=notRunning]"

NAME = "waits"
SETTINGS = ["--epochs", "5", "--curvature-every", "0", "--film-every", "0", "--snapshots", "0"]
"""Of the finished run of which landscapes and curvatures are taken."""

READING = 3.0
"""Seconds that a person looks at a page before pressing anything."""
REST = 15.0
"""Seconds from one wait to the next of its kind."""
PATIENCE = 120.0
"""Seconds after which a wait counts as endless."""
SURFACES = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]
SURFACES += ["--enable-unsafe-swiftshader"]
FLAT = ["--no-sandbox", "--disable-gpu"]
"""Without WebGL, whose emulation takes a core where there is no graphics card."""

WATCH = """
([button, selector, words, patience]) => {
  const pattern = new RegExp(words);
  const there = () =>
    [...document.querySelectorAll(selector)].some((each) => pattern.test(each.textContent));
  if (there()) throw new Error(`${selector} is on the page before the click`);
  let began = Infinity;
  const pressed = (event) => {
    if (began === Infinity && event.target.closest?.(button)) began = performance.now();
  };
  document.addEventListener("click", pressed, { capture: true });
  window.waited = new Promise((resolve) => {
    const look = () => {
      const seconds = (performance.now() - began) / 1000;
      if (seconds > patience) resolve(null);
      else if (seconds >= 0 && there()) resolve(seconds);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}
"""
"""Promises the seconds from the click to the first frame with the sign; null if it never came."""

UNASKED = """
(([selector, words]) => {
  const pattern = new RegExp(words);
  const look = () => {
    const found = [...document.querySelectorAll(selector)];
    const there = found.some((each) => pattern.test(each.textContent));
    if (there) window.opened = performance.now() / 1000;
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})(%s)
"""
"""Notes the seconds from the opening of a page to the first frame with the sign."""

Waits = dict[str, list[float]]


@dataclass
class Visit:
    """One server with a browser before it."""

    address: str
    context: BrowserContext
    run: str
    seed: int = 0

    @contextmanager
    def page_of(self, wait: Wait) -> Iterator[Page]:
        """The page of a wait, read and at rest; closed afterwards."""
        self.seed += 1
        label = quote_plus(LABEL.format(name=NAME, run=self.run))
        page = self.context.new_page()
        page.add_init_script(UNASKED % json.dumps([wait.first.selector, wait.first.words]))
        try:
            page.goto(self.address + wait.path.format(run=self.run, label=label, seed=self.seed))
            expect(page.locator(wait.button)).to_be_enabled(timeout=1000 * PATIENCE)
            page.wait_for_timeout(1000 * READING)
            expect(page.locator(IDLE)).to_be_attached(timeout=1000 * PATIENCE)
            yield page
        finally:
            page.close()

    def seconds(self, wait: Wait, *, to_the_end: bool = False) -> float:
        """How long a wait takes; the page is closed once everything is there."""
        sign = wait.end if to_the_end and wait.end else wait.first
        with self.page_of(wait) as page:
            unasked = page.evaluate("window.opened ?? null")
            if unasked is None or to_the_end:
                taken = press(page, wait.button, sign)
            else:
                taken = float(unasked)
                page.locator(wait.button).click()
            if wait.end:
                arrive(page, wait.end)
        return taken

    def first_lambda(self) -> float:
        """From *Train now* to the first λ; the run is stopped then."""
        with self.page_of(TRAIN_NOW) as page:
            taken = press(page, TRAIN_NOW.button, TRAIN_NOW.first)
            press(page, STOP.button, STOP.first)
        return taken

    @contextmanager
    def training(self) -> Iterator[None]:
        """A run that goes on meanwhile, with no page on it."""
        with self.page_of(LONG_RUN) as page:
            press(page, LONG_RUN.button, LONG_RUN.first)
            watched = page.url
        yield
        page = self.context.new_page()
        page.goto(watched)
        expect(page.locator(STOP.button)).to_be_enabled(timeout=1000 * PATIENCE)
        press(page, STOP.button, STOP.first)
        page.close()


def press(page: Page, button: str, sign: Sign) -> float:
    """Click and return the seconds, of the page's own clock, until the sign stands there.

    Raises:
        TimeoutError: it never did.
    """
    page.evaluate(WATCH, [button, sign.selector, sign.words, PATIENCE])
    page.locator(button).click()
    taken = page.evaluate("window.waited")
    if taken is None:
        raise TimeoutError(f"{button} was pressed, but {sign} did not come in {PATIENCE:g} s.")
    return float(taken)


def arrive(page: Page, sign: Sign) -> None:
    """Wait for a sign without timing it."""
    test = "([s, w]) => [...document.querySelectorAll(s)].some((e) => e.textContent.match(w))"
    page.wait_for_function(test, arg=[sign.selector, sign.words], timeout=1000 * PATIENCE)


def note(found: Waits, name: str, act: Callable[[], float]) -> None:
    """Time something and print it at once; what never comes is an endless wait."""
    load = os.getloadavg()[0]
    try:
        taken = act()
    except (TimeoutError, PlaywrightTimeout, AssertionError) as error:
        taken = math.inf
        print(f"  {name}: {str(error).splitlines()[0]}", flush=True)
    found[name].append(taken)
    print(f"  {name}: {taken:.2f} s (load {load:.1f})", flush=True)


def series(visit: Visit, again: int, found: Waits) -> None:
    """Every wait on one fresh server: the first of a kind, then some more."""
    note(found, "Train now to the first λ, cold", visit.first_lambda)
    for _ in range(again):
        time.sleep(REST)
        note(found, "Train now to the first λ, warm", visit.first_lambda)
    kinds = {
        "landscape to its first picture": LANDSCAPE,
        "curvature to its first eigenvalue": CURVATURE,
    }
    for name, wait in kinds.items():
        for when in ("first of the server", *["later"] * again):
            time.sleep(REST)
            note(found, f"{name}, {when}", partial(visit.seconds, wait))
    with visit.training():
        for name, wait in kinds.items():
            for _ in range(again):
                time.sleep(REST)
                note(found, f"{name}, while a run trains", partial(visit.seconds, wait))


def memory(server: int) -> str:
    """Resident memory of the server, and of the processes that it started."""
    process = psutil.Process(server)
    others = 0
    children = process.children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            others += child.memory_info().rss
    words = f"server {process.memory_info().rss / 2**20:.0f} MiB"
    return words + f", {len(children)} processes of its own {others / 2**20:.0f} MiB"


def drive(visit: Visit, server: int, minutes: float) -> None:
    """Landscapes and curvatures in turn, each with another seed, and the memory as it goes."""
    count, end = 0, time.monotonic() + 60 * minutes
    ends: Waits = defaultdict(list)
    while time.monotonic() < end:
        for name, wait in (("whole landscape", LANDSCAPE), ("whole curvature", CURVATURE)):
            note(ends, name, partial(visit.seconds, wait, to_the_end=True))
        count += 1
        if count in (1, 2, 5) or count % 10 == 0:
            print(f"memory after {count} of each: {memory(server)}", flush=True)
    print(f"memory after {count} of each, at the end: {memory(server)}", flush=True)


def finished_run(app: Path, home: Path) -> str:
    """Train a small run from the command line and return its id."""
    command = [sys.executable, "-m", "samar", "train", "--name", NAME, *SETTINGS, "--json"]
    done = subprocess.run(
        command, cwd=app.parent, env=environment(app, home), check=True, capture_output=True
    )
    return str(json.loads(done.stdout.splitlines()[-1])["run"])


def environment(app: Path, home: Path) -> dict[str, str]:
    return os.environ | {"SAMAR_HOME": str(home), "PYTHONPATH": str(app.parent)}


@contextmanager
def serving(app: Path, home: Path) -> Iterator[tuple[str, int]]:
    """A server of the app, as its address and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(app), "--server.port", str(port)]
    command += ["--server.headless", "true", "--server.fileWatcherType", "none"]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=app.parent, env=environment(app, home), stdout=log, stderr=log
        )
        try:
            address = f"http://127.0.0.1:{port}"
            until_healthy(address)
            yield address, server.pid
        finally:
            own = psutil.Process(server.pid).children(recursive=True)
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            for process in own:
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def until_healthy(address: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(urllib.error.URLError, TimeoutError):
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
            return
        time.sleep(0.1)
    raise TimeoutError(f"There is no server at {address}.")


def measure(browser: Browser, options: argparse.Namespace, found: Waits) -> None:
    """All waits on all servers; the memory of the last server is printed."""
    with tempfile.TemporaryDirectory() as folder:
        trained = Path(folder) / "trained"
        run = finished_run(options.app, trained)
        time.sleep(3)  # the worker's process ends a moment after its run
        for number in range(options.servers):
            home = Path(folder) / f"home{number}"
            shutil.copytree(trained, home)
            with serving(options.app, home) as (address, server):
                print(f"memory before the first visitor: {memory(server)}", flush=True)
                context = browser.new_context(viewport={"width": 1400, "height": 1000})
                visit = Visit(address, context, run)
                series(visit, options.again, found)
                print(f"memory after the waits: {memory(server)}", flush=True)
                if options.memory and number == options.servers - 1:
                    drive(visit, server, options.memory)
                context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", type=Path, default=Path(__file__).parents[2] / "app.py")
    parser.add_argument("--servers", type=int, default=3, help="fresh servers (default: 3)")
    parser.add_argument("--again", type=int, default=2, help="more of each on a server")
    parser.add_argument("--memory", type=float, default=0, metavar="MINUTES", help="drive so long")
    parser.add_argument("--flat", action="store_true", help="a browser without WebGL")
    options = parser.parse_args()
    options.app = options.app.absolute()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load before {load:.1f}, WebGL: {not options.flat}", flush=True)
    found: Waits = defaultdict(list)
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        flags = FLAT if options.flat else SURFACES
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        try:
            measure(browser, options, found)
        finally:
            for name, waits in found.items():
                print(
                    f"{name}: median {statistics.median(waits):.2f} s "
                    f"({min(waits):.2f} to {max(waits):.2f}), {len(waits)} times"
                )
        browser.close()


if __name__ == "__main__":
    main()
