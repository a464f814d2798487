"""What a person waits for: first movement, first λ, another page, a redrawn playground.

A fresh server with an empty home, driven in Chromium; each line is one wait in seconds, as the
browser sees it. The first visitor also pays for the imports of the server.

    PYTHONPATH=. python tests/benchmarks/browser.py
"""

import re
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.conftest import ROOT, _streamlit

FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]
FLAGS += ["--enable-unsafe-swiftshader"]
FLAT = ["--no-sandbox", "--disable-gpu"]
"""Without WebGL. Where there is no graphics card, its emulation composes every frame of a page,
which the two-dimensional playground need not wait for."""

PATIENCE = 60_000


def moving(page: Page, address: str) -> float:
    """From opening the start page until the recorded run has begun to play."""
    began = time.perf_counter()
    page.goto(address)
    clock = page.locator(".samar-clock-text")
    expect(clock).to_have_text(re.compile(r"step ([2-9]|\d{2,}) of"), timeout=PATIENCE)
    return time.perf_counter() - began


def first_lambda(page: Page, address: str) -> float:
    """From pressing *Train now* until λ is drawn."""
    page.goto(address)
    button = page.get_by_role("button", name="Train now")
    expect(button).to_be_enabled(timeout=PATIENCE)
    page.wait_for_timeout(3000)
    began = time.perf_counter()
    button.click()
    curve = page.locator(".stage-tile-lam .scatterlayer path.js-line").first
    expect(curve).to_be_attached(timeout=PATIENCE)
    return time.perf_counter() - began


def page_switch(page: Page, section: str, name: str) -> float:
    """From choosing a page in the menu until its heading stands."""
    page.get_by_test_id("stTopNavSection").filter(has_text=section).click()
    entry = page.get_by_role("menuitem", name=name).or_(page.get_by_role("link", name=name))
    began = time.perf_counter()
    entry.first.click()
    heading = page.get_by_test_id("stMain").get_by_role("heading", name=name).first
    expect(heading).to_be_visible(timeout=PATIENCE)
    return time.perf_counter() - began


WATCH = """
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
"""Promises the seconds from the next key until both charts are drawn anew and on the screen."""


def redraw(page: Page, address: str) -> list[float]:
    """From an arrow key on the playground's radius until both charts say the new one."""
    page.goto(f"{address}/playground")
    expect(page.locator(".st-key-playground_2d")).to_contain_text("ρ = 0.7", timeout=PATIENCE)
    slider = page.locator(".st-key-p_rho input[type=range]")
    slider.focus()
    waits = []
    for number in range(1, 12):
        page.wait_for_timeout(1500)
        page.evaluate(WATCH, [f"ρ = {0.7 + number / 100:g}"])
        slider.press("ArrowRight")
        waits.append(float(page.evaluate("window.waited")))
    return waits


def main() -> None:
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        with _streamlit(ROOT / "app.py", Path(home)) as address:
            for visitor in ("first", "second"):
                wait = moving(browser.new_page(), address)
                print(f"start page moves, {visitor} visitor: {wait:.1f} s", flush=True)
            page = browser.new_page()
            print(f"Train now to the first λ: {first_lambda(page, address):.1f} s", flush=True)
            for section, name in (("Analyse", "Landscape"), ("Analyse", "Compare")):
                wait = page_switch(page, section, name)
                print(f"to {name} while a run trains: {wait:.1f} s", flush=True)
            page.wait_for_timeout(60_000)  # the run ends
            browser.close()
            for kind, flags in (("emulated", FLAGS), ("no", FLAT)):
                browser = playwright.chromium.launch(executable_path=chromium, args=flags)
                waits = redraw(browser.new_page(), address)
                browser.close()
                print(
                    f"playground after a slider, {kind} WebGL: median "
                    f"{statistics.median(waits):.2f} s ({min(waits):.2f} to {max(waits):.2f}), "
                    f"{len(waits)} changes"
                )


if __name__ == "__main__":
    main()
