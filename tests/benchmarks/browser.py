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
PATIENCE = 60_000


def moving(page: Page, address: str) -> float:
    """From opening the start page until the recorded run has begun to play."""
    began = time.perf_counter()
    page.goto(address)
    clock = page.locator(".samar-clock-text")
    expect(clock).to_have_text(re.compile(r"picture ([2-9]|\d{2,})"), timeout=PATIENCE)
    return time.perf_counter() - began


def first_lambda(page: Page, address: str) -> float:
    """From pressing *Train now* until λ is drawn."""
    page.goto(address)
    button = page.get_by_role("button", name="Train now")
    expect(button).to_be_enabled(timeout=PATIENCE)
    page.wait_for_timeout(3000)
    began = time.perf_counter()
    button.click()
    curve = page.locator(".st-key-panel_lam .scatterlayer path.js-line").first
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


def redraw(page: Page, address: str) -> list[float]:
    """From an arrow key on the playground's radius until both charts say the new one."""
    page.goto(f"{address}/playground")
    chart = page.locator(".st-key-playground_2d")
    expect(chart).to_contain_text("ρ = 0.7", timeout=PATIENCE)
    slider = page.locator(".st-key-p_rho input[type=range]")
    slider.focus()
    waits = []
    for number in range(1, 8):
        page.wait_for_timeout(1500)
        began = time.perf_counter()
        slider.press("ArrowRight")
        expect(chart).to_contain_text(f"ρ = {0.7 + number / 100:g}", timeout=PATIENCE)
        waits.append(time.perf_counter() - began)
    return waits


def main() -> None:
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
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
            waits = redraw(browser.new_page(), address)
            low, high = min(waits), max(waits)
            print(
                f"playground after a slider: median {statistics.median(waits):.2f} s "
                f"({low:.2f} to {high:.2f}), {len(waits)} changes"
            )
        browser.close()


if __name__ == "__main__":
    main()
