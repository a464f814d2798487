"""The app around its pages: the registry, the files that the browser fetches, and turns."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import plotly
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from samar.charts.html.render import COMPONENTS
from samar.web import server
from samar.web.pages import PAGES, Page, page_of
from samar.web.server import (
    CHART_JS,
    PLOTLY_JS,
    STAGE_JS,
    ensure_static,
    script_url,
    static_url,
)

ROOT = Path(__file__).parents[2]
APP = ROOT / "app.py"


def test_a_page_is_a_file_and_a_line(
    tmp_path: Path, samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A toy page in a copy of the app: it opens, and jobs of its kind lead to it."""
    shutil.copy(APP, tmp_path)
    shutil.copytree(ROOT / "pages", tmp_path / "pages")
    (tmp_path / "pages/learn/toy.py").write_text("import streamlit as st\nst.header('A toy')\n")
    toy = Page("learn/toy", "Toy", "star", "Learn", "toy")
    monkeypatch.setitem(PAGES, "toy", toy)
    app = AppTest.from_file(str(tmp_path / "app.py"), default_timeout=60).run()
    app.switch_page(page_of("toy").path).run()
    assert not app.exception
    assert [header.value for header in app.header] == ["A toy"]


def test_every_page_is_registered_and_draws(samar_home: Path) -> None:
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "pages").rglob("*.py")}
    assert {page.path for page in PAGES.values()} == files
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    for page in PAGES.values():
        app.switch_page(page.path).run()
        assert not app.exception, page
        assert not app.error, page


def test_a_page_waits_for_its_turn(samar_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = threading.BoundedSemaphore(1)
    monkeypatch.setattr(server, "TURNS", turns)
    drawn: list[AppTest] = []
    one = threading.Thread(
        target=lambda: drawn.append(AppTest.from_file(str(APP), default_timeout=60).run())
    )
    with turns:
        one.start()
        one.join(2)
        assert not drawn
    one.join(60)
    assert not drawn[0].exception
    assert turns.acquire(blocking=False)


def test_puts_the_installed_plotly_js_under_its_version(tmp_path: Path) -> None:
    ensure_static(tmp_path / "static")
    package = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    assert plotly.__version__ in PLOTLY_JS
    assert (tmp_path / "static" / PLOTLY_JS).read_bytes() == package.read_bytes()
    scripts = {script.name for script in COMPONENTS.glob("*.js")}
    assert {CHART_JS, STAGE_JS} < scripts
    assert {p.name for p in (tmp_path / "static").iterdir()} == {PLOTLY_JS, *scripts}


def test_sessions_that_come_at_once_to_a_fresh_server(tmp_path: Path) -> None:
    gate = Barrier(20)

    def come() -> None:
        gate.wait()
        ensure_static(tmp_path)

    with ThreadPoolExecutor(20) as sessions:
        for session in [sessions.submit(come) for _ in range(20)]:
            session.result()
    assert len(list(tmp_path.iterdir())) == len(list(COMPONENTS.glob("*.js"))) + 1


def test_leaves_what_is_there_and_mends_what_is_not(tmp_path: Path) -> None:
    ensure_static(tmp_path)
    kept, torn, edited = (tmp_path / name for name in (PLOTLY_JS, CHART_JS, STAGE_JS))
    before = kept.stat().st_ino
    torn.write_text("half a scr")
    edited.write_bytes(edited.read_bytes().swapcase())
    os.utime(edited, ns=(0, 0))
    ensure_static(tmp_path)
    assert kept.stat().st_ino == before, "4.8 MB are not copied on every rerun"
    for script in (torn, edited):
        assert script.read_bytes() == (COMPONENTS / script.name).read_bytes()


@pytest.mark.parametrize(
    ("base", "url"), [("", "/app/static/a.js"), ("/lab/", "/lab/app/static/a.js")]
)
def test_url_under_a_base_path(monkeypatch: pytest.MonkeyPatch, base: str, url: str) -> None:
    monkeypatch.setattr(st, "get_option", {"server.baseUrlPath": base}.__getitem__)
    assert static_url("a.js") == url


def test_script_url_names_its_content() -> None:
    assert script_url(CHART_JS).startswith(static_url(CHART_JS) + "?v=")
    # One mark for all, so that parts which they share are loaded once.
    assert script_url(CHART_JS).partition("?")[2] == script_url(STAGE_JS).partition("?")[2]
