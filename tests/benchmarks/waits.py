"""What a person waits for, in this version and, side by side, in another one.

Each wait is timed inside the page, from the click on a button or the press of a key to the first
frame in which what was asked for stands there; where that comes unasked, from the opening of the
page. Several fresh servers are visited one after the other; on each, the first wait of a kind is
its cold one, and those that follow come after a rest in which a process may be made ready. Then the
memory of the server is read, with ``--memory`` after a drive of so many minutes. Run it on a
machine that does nothing else; each wait is printed with the load average, so that one which others
disturbed can be told.

    python -m tests.benchmarks.waits [--before ../old/app.py] [--servers 3] [--again 2]
                                     [--images folder:PATH] [--memory 0] [--live] [--flat]

``--before`` is the app of another checkout, which then also serves and trains; its selectors stand
beside ours.
"""

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote_plus

import psutil
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.serving import serving


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

LAMBDA = Sign(".stage-tile-lam header output", r"\d")
TRAIN_NOW = Wait("/", ".st-key-train_now button", LAMBDA)
LONG_RUN = Wait("/train?epochs=10000&rho=0.2", ".st-key-button_start button", LAMBDA)
STOP = Wait(
    "", ".steer-stop, .st-key-button_stop button", Sign(".stage-status, .st-key-status", "Stopped")
)
RACE = Wait("/", ".st-key-race_now button", LAMBDA)
PICTURE = Sign(".stage-tile-landscape footer", r"step \d")
EIGENVALUE = Sign(".stage-tile-eigenvalues header output", r"\d")
EDITED = Sign(".stage-marks", "ρ 0.3")
RHO = ".steer-rho input[type=range], .st-key-rho input[type=range]"
MENU = "[data-testid=stTopNavSection]"
IMAGES = "/train?model=resnet20&epochs=1&dataset={images}"
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
SETTINGS = ["--epochs", "5", "--snapshots", "0"]
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
([button, signs, patience]) => {
  const there = ([selector, words]) =>
    [...document.querySelectorAll(selector)].some(
      (each) => new RegExp(words).test(each.textContent));
  for (const sign of signs)
    if (there(sign)) throw new Error(`${sign[0]} is on the page before the click`);
  let began = Infinity;
  const pressed = (event) => {
    if (began === Infinity && event.target.closest?.(button)) began = performance.now();
  };
  for (const type of ["click", "keydown"])
    document.addEventListener(type, pressed, { capture: true });
  window.waited = Promise.all(signs.map((sign) => new Promise((resolve) => {
    const look = () => {
      const seconds = (performance.now() - began) / 1000;
      if (seconds > patience) resolve(null);
      else if (seconds >= 0 && there(sign)) resolve(seconds);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  })));
}
"""
"""Promises the seconds from the click to the first frame with each sign; null if it never came."""

OPENED = """
(() => {
  let first = null;
  const now = () => performance.now() / 1000;
  const look = () => {
    if (window.heading === undefined && document.querySelector("[data-testid=stHeading]"))
      window.heading = now();
    const clock = document.querySelector(".samar-clock input");
    first ??= clock?.value ?? null;
    if (clock && clock.value !== first) window.moving = now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()
"""
"""Notes the seconds from opening the start page to its heading and to the first movement."""

REDRAWN = """
([text]) => {
  const plots = ["2d", "panels"].map(
    (name) => document.querySelector(`.st-key-playground_${name} .js-plotly-plot`));
  let began = Infinity;
  const pressed = () => (began = performance.now());
  document.addEventListener("keydown", pressed, { capture: true, once: true });
  const drawn = plots.map((plot) => new Promise((resolve) => {
    const look = () => {
      if (began === Infinity || !(plot === plots[1] || plot.textContent.includes(text))) return;
      plot.removeListener("plotly_afterplot", look);
      requestAnimationFrame(resolve);
    };
    plot.on("plotly_afterplot", look);
  }));
  window.waited = Promise.all(drawn).then(() => (performance.now() - began) / 1000);
}
"""
"""Promises the seconds from the next key until both charts of the playground are drawn anew."""

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
    races: bool
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
            expect(page.locator(wait.button).first).to_be_enabled(timeout=1000 * PATIENCE)
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
                page.locator(wait.button).first.click()
            if wait.end:
                arrive(page, wait.end)
        return taken

    def started(self, wait: Wait) -> list[float]:
        """From a button to the first λ, landscape and eigenvalue; the run is stopped then."""
        with self.page_of(wait) as page:
            taken = press_for(page, wait.button, [wait.first, PICTURE, EIGENVALUE])
            press(page, STOP.button, STOP.first)
        return taken

    @contextmanager
    def training(self) -> Iterator[str]:
        """A run that goes on meanwhile, with no page on it; its address."""
        with self.page_of(LONG_RUN) as page:
            press(page, LONG_RUN.button, LONG_RUN.first)
            watched = page.url
        yield watched
        page = self.context.new_page()
        page.goto(watched)
        expect(page.locator(STOP.button)).to_be_enabled(timeout=1000 * PATIENCE)
        press(page, STOP.button, STOP.first)
        page.close()

    def opening(self) -> tuple[float, float]:
        """From opening the start page to its heading, and until something moves."""
        page = self.context.new_page()
        page.add_init_script(OPENED)
        page.goto(self.address)
        page.wait_for_function("window.moving !== undefined", timeout=1000 * PATIENCE)
        found = page.evaluate("[window.heading, window.moving]")
        page.close()
        return float(found[0]), float(found[1])

    def edited(self, watched: str) -> float:
        """From a key on the radius of a run that trains to its mark."""
        page = self.context.new_page()
        page.goto(watched)
        arrive(page, LAMBDA)
        page.wait_for_timeout(1000 * READING)
        page.locator(RHO).focus()
        taken = press(page, RHO, EDITED, key="ArrowRight")
        page.close()
        return taken

    def turned(self, watched: str, section: str, name: re.Pattern[str]) -> float:
        """From choosing another page in the menu, while a run is watched, to its heading."""
        page = self.context.new_page()
        page.goto(watched)
        arrive(page, LAMBDA)
        page.wait_for_timeout(1000 * READING)
        page.locator(MENU).filter(has_text=section).click()
        entry = page.get_by_role("menuitem", name=name).or_(page.get_by_role("link", name=name))
        heading = page.get_by_test_id("stMain").get_by_role("heading", name=name).first
        began = time.perf_counter()
        entry.first.click()
        heading.wait_for(timeout=1000 * PATIENCE)
        taken = time.perf_counter() - began
        page.close()
        return taken

    def redrawn(self, again: int) -> Iterator[float]:
        """From an arrow key on the playground's radius until both charts say the new one."""
        page = self.context.new_page()
        page.goto(f"{self.address}/playground")
        arrive(page, Sign(".st-key-playground_2d", "ρ = 0.7"))
        slider = page.locator(".st-key-p_rho input[type=range]")
        slider.focus()
        for number in range(1, 3 + again):
            page.wait_for_timeout(1500)
            page.evaluate(REDRAWN, [f"ρ = {0.7 + number / 100:g}"])
            slider.press("ArrowRight")
            yield float(page.evaluate("window.waited"))
        page.close()

    def on_images(self, images: str) -> float:
        """From *Start* with a folder of images to the first λ."""
        wait = Wait(IMAGES.format(images=quote_plus(images)), ".st-key-button_start button", LAMBDA)
        with self.page_of(wait) as page:
            taken = press(page, wait.button, wait.first)
            press(page, STOP.button, STOP.first)
        return taken


def press(page: Page, button: str, sign: Sign, key: str = "") -> float:
    """Click, or press a key; the seconds, of the page's own clock, until the sign stands there.

    Raises:
        TimeoutError: it never did.
    """
    return press_for(page, button, [sign], key)[0]


def press_for(page: Page, button: str, signs: Sequence[Sign], key: str = "") -> list[float]:
    """The same for several signs."""
    page.evaluate(WATCH, [button, [[sign.selector, sign.words] for sign in signs], PATIENCE])
    if key:
        page.locator(button).first.press(key)
    else:
        page.locator(button).first.click()
    taken = page.evaluate("window.waited")
    if None in taken:
        raise TimeoutError(f"{button} was pressed, but {signs} did not come in {PATIENCE:g} s.")
    return [float(seconds) for seconds in taken]


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


def begin(visit: Visit, name: str, wait: Wait, found: Waits) -> None:
    """Time what comes first of a run: λ from the press, the pictures from λ."""
    first: list[float] = []

    def act() -> float:
        first.extend(visit.started(wait))
        return first[0]

    note(found, f"{name}, to the first λ", act)
    for place, what in enumerate(("landscape", "eigenvalue"), 1):
        if first:
            seconds = first[place] - first[0]
            note(found, f"{name}, first {what} from there", lambda value=seconds: value)


def series(visit: Visit, again: int, images: str, live: bool, found: Waits) -> None:
    """Every wait on one fresh server: the first of a kind, then some more."""
    for visitor in ("first visitor", *["later"] * again):
        heading, moving = visit.opening()
        note(found, f"start page to its heading, {visitor}", lambda value=heading: value)
        note(found, f"start page until it moves, {visitor}", lambda value=moving: value)
    begin(visit, "Train now, cold", TRAIN_NOW, found)
    for _ in range(again):
        time.sleep(REST)
        begin(visit, "Train now, warm", TRAIN_NOW, found)
        if visit.races:
            time.sleep(REST)
            begin(visit, "Race them now, warm", RACE, found)
    for _ in range(1 + again):
        with visit.training() as watched:
            note(found, "live edit to its mark", partial(visit.edited, watched))
    if live:
        return
    for taken in visit.redrawn(again):
        note(found, "playground after a slider", lambda value=taken: value)
    if images:
        for when in ("first", "later"):
            time.sleep(REST)
            note(
                found,
                f"ResNet-20 on a folder to the first λ, {when}",
                partial(visit.on_images, images),
            )
    kinds = {
        "landscape to its first picture": LANDSCAPE,
        "curvature to its first eigenvalue": CURVATURE,
    }
    for name, wait in kinds.items():
        for when in ("first of the server", *["later"] * again):
            time.sleep(REST)
            note(found, f"{name}, {when}", partial(visit.seconds, wait))
    with visit.training() as watched:
        for section, page in (("Experiment", "Jobs|Runs"), ("Analyse", "Compare")):
            turn = partial(visit.turned, watched, section, re.compile(page))
            note(found, "another page while a run trains", turn)
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


def measure(browser: Browser, app: Path, options: argparse.Namespace, found: Waits) -> None:
    """All waits on all servers of an app; the memory of the last server is printed."""
    with tempfile.TemporaryDirectory() as folder:
        trained = Path(folder) / "trained"
        run = finished_run(app, trained)
        time.sleep(3)  # the worker's process ends a moment after its run
        for number in range(options.servers):
            home = Path(folder) / f"home{number}"
            shutil.copytree(trained, home)
            with serving(home, app, root=app.parent) as served:
                address, server = served.address, served.pid
                print(f"memory before the first visitor: {memory(server)}", flush=True)
                context = browser.new_context(viewport={"width": 1400, "height": 1000})
                races = (app.parent / "samar" / "kinds" / "race.py").is_file()
                visit = Visit(address, context, run, races)
                series(visit, options.again, options.images, options.live, found)
                print(f"memory after the waits: {memory(server)}", flush=True)
                if options.memory and number == options.servers - 1:
                    drive(visit, server, options.memory)
                context.close()


def told(waits: list[float]) -> str:
    """Median and range."""
    if not waits:
        return "—"
    return f"{statistics.median(waits):.2f} s ({min(waits):.2f}–{max(waits):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="the app of another checkout")
    parser.add_argument("--servers", type=int, default=3, help="fresh servers (default: 3)")
    parser.add_argument("--again", type=int, default=2, help="more of each on a server")
    parser.add_argument("--images", default="", metavar="folder:PATH", help="train on these too")
    parser.add_argument("--memory", type=float, default=0, metavar="MINUTES", help="drive so long")
    parser.add_argument("--live", action="store_true", help="only the waits of the stage")
    parser.add_argument("--flat", action="store_true", help="a browser without WebGL")
    options = parser.parse_args()
    apps = {"now": Path(__file__).parents[2] / "app.py"}
    if options.before:
        apps["before"] = options.before.absolute()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load before {load:.1f}, WebGL: {not options.flat}", flush=True)
    found: dict[str, Waits] = {name: defaultdict(list) for name in apps}
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        flags = FLAT if options.flat else SURFACES
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        try:
            for name, app in apps.items():
                print(f"{name}: {app}", flush=True)
                measure(browser, app, options, found[name])
        finally:
            names = dict.fromkeys(wait for waits in found.values() for wait in waits)
            print("", f"{'':52}" + "".join(f"{name:26}" for name in apps), sep="\n")
            for wait in names:
                print(f"{wait:52}" + "".join(f"{told(found[name][wait]):26}" for name in apps))
        browser.close()


if __name__ == "__main__":
    main()
