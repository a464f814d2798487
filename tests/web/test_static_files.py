"""The files that the browser fetches are put beside the app, and are the right ones."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import plotly
import pytest
import streamlit as st

from samar.charts.html.render import COMPONENTS
from samar.web.static_files import (
    CHART_JS,
    PLOTLY_JS,
    STAGE_JS,
    ensure_static,
    script_url,
    static_url,
)


def test_puts_the_installed_plotly_js_under_its_version(tmp_path: Path) -> None:
    ensure_static(tmp_path / "static")
    package = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    assert plotly.__version__ in PLOTLY_JS
    assert (tmp_path / "static" / PLOTLY_JS).read_bytes() == package.read_bytes()
    scripts = {script.name for script in COMPONENTS.glob("*.js")}
    assert {CHART_JS, STAGE_JS} < scripts
    assert {p.name for p in (tmp_path / "static").iterdir()} == {PLOTLY_JS, *scripts}


def test_sessions_that_come_at_once_to_a_fresh_server(tmp_path: Path) -> None:
    for attempt in range(5):
        folder, gate = tmp_path / str(attempt), Barrier(20)

        def come(folder: Path = folder, gate: Barrier = gate) -> None:
            gate.wait()
            ensure_static(folder)

        with ThreadPoolExecutor(20) as sessions:
            for each in [sessions.submit(come) for _ in range(20)]:
                each.result()
        assert len(list(folder.iterdir())) == len(list(COMPONENTS.glob("*.js"))) + 1


def test_leaves_what_is_there_and_mends_what_is_not(tmp_path: Path) -> None:
    ensure_static(tmp_path)
    kept, torn = tmp_path / PLOTLY_JS, tmp_path / CHART_JS
    before = kept.stat().st_ino
    torn.write_text("half a scr")
    ensure_static(tmp_path)
    assert kept.stat().st_ino == before, "4.8 MB are not copied on every rerun"
    assert torn.read_bytes() == (COMPONENTS / CHART_JS).read_bytes()


def test_an_edited_script_of_equal_length_is_copied(tmp_path: Path) -> None:
    ensure_static(tmp_path)
    script = tmp_path / CHART_JS
    script.write_bytes(script.read_bytes().swapcase())
    os.utime(script, ns=(0, 0))
    ensure_static(tmp_path)
    assert script.read_bytes() == (COMPONENTS / CHART_JS).read_bytes()


@pytest.mark.parametrize(
    ("base", "url"),
    [("", "/app/static/a.js"), ("lab", "/lab/app/static/a.js"), ("/lab/", "/lab/app/static/a.js")],
)
def test_url_under_a_base_path(monkeypatch: pytest.MonkeyPatch, base: str, url: str) -> None:
    monkeypatch.setattr(st, "get_option", {"server.baseUrlPath": base}.__getitem__)
    assert static_url("a.js") == url


def test_script_url_names_its_content() -> None:
    assert script_url(CHART_JS).startswith(static_url(CHART_JS) + "?v=")
    # One mark for all, so that parts which they share are loaded once.
    assert script_url(CHART_JS).partition("?")[2] == script_url(STAGE_JS).partition("?")[2]
