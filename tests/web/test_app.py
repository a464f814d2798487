"""The app around its pages: the registry, the files that the browser fetches, and turns."""

import shutil
import threading
from pathlib import Path

import plotly
import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from samar.charts.html.render import COMPONENTS
from samar.web import server
from samar.web.pages import PAGES, Page, page_of
from samar.web.server import CHART_JS, PLOTLY_JS, STAGE_JS, routes, script_url

ROOT = Path(__file__).parents[2]
APP = ROOT / "samar/web/main.py"


def test_a_page_is_a_file_and_a_line(
    tmp_path: Path, samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A toy page beside the others: it opens, and jobs of its kind lead to it."""
    shutil.copytree(ROOT / "pages", tmp_path / "pages")
    monkeypatch.setattr("samar.web.pages.SHIPPED", tmp_path)
    (tmp_path / "pages/learn/toy.py").write_text("import streamlit as st\nst.header('A toy')\n")
    toy = Page("learn/toy", "Toy", "star", "Learn", "toy")
    monkeypatch.setitem(PAGES, "toy", toy)
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    app.switch_page(page_of("toy").path).run()
    assert not app.exception
    assert [header.value for header in app.header] == ["A toy"]


def test_every_page_is_registered_and_draws(samar_home: Path) -> None:
    files = {str(path) for path in (ROOT / "pages").rglob("*.py")}
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


def test_the_browser_loads_what_is_installed() -> None:
    package = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    assert plotly.__version__ in PLOTLY_JS
    with _client("lab") as client:
        answer = client.get(f"/lab/app/static/{PLOTLY_JS}", headers={"Accept-Encoding": "gzip"})
        assert answer.content == package.read_bytes()
        assert "immutable" in answer.headers["Cache-Control"]
        for script in COMPONENTS.glob("*.js"):
            address = f"/lab/{script_url(script.name)}"
            assert client.get(address).content == script.read_bytes()
        assert client.get("/lab/app/static/pages.py").status_code == 404


def _client(base: str) -> TestClient:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "get_option", {"server.baseUrlPath": base}.__getitem__)
        return TestClient(Starlette(routes=routes()))


def test_a_script_and_its_parts_bear_one_mark() -> None:
    """Parts which they share are loaded once, and anew when one of them changed."""
    assert script_url(CHART_JS).partition("?")[2] == script_url(STAGE_JS).partition("?")[2]
