"""What the browser loads as files of its own: plotly.js and the chart component's script.

Streamlit serves the folder ``static/`` beside the running script under ``app/static/``. plotly.js
is 4.8 MB: as a file the browser fetches it once; inline it would travel in every message.
"""

import os
import zlib
from importlib.metadata import version
from pathlib import Path
from threading import get_ident
from typing import Any

import plotly
import streamlit as st

from samar.charts.html.render import COMPONENTS, render, script

PLOTLY_JS = f"plotly-{version('plotly')}.min.js"
CHART_JS, STAGE_JS = "plotly_chart.js", "stage.js"
SCRIPTS = tuple(sorted(path.name for path in COMPONENTS.glob("*.js")))


def ensure_static(folder: Path) -> None:
    """Put the files that the browser needs into the served folder, unless they are there already.

    Args:
        folder: The ``static`` folder beside the script that Streamlit runs.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", folder / PLOTLY_JS)
    for name in SCRIPTS:
        _copy(COMPONENTS / name, folder / name)


def static_url(name: str) -> str:
    """The path under which the browser finds a file of the served folder."""
    base = str(st.get_option("server.baseUrlPath")).strip("/")
    return f"{'/' + base if base else ''}/app/static/{name}"


def script_url(name: str) -> str:
    """A component's script, with a checksum of all scripts so that an updated one is fetched anew.

    A script asks for its parts under the same checksum.
    """
    content = b"".join((COMPONENTS / each).read_bytes() for each in SCRIPTS)
    return f"{static_url(name)}?v={zlib.crc32(content):08x}"


def component(name: str, *, html: str, css: str, js: str) -> Any:
    """Declare a component of the browser; what it returns puts one on the page.

    Args:
        html: its template, with an element of the class ``samar-chart-note`` that says why there
            is nothing where the script cannot be loaded.
        css, js: its files among those of :data:`samar.charts.html.render.COMPONENTS`.
    """
    return st.components.v2.component(
        name,
        html=render(html),
        css=script(css),
        js=render("chart.js.j2", url=script_url(js)),
        isolate_styles=False,  # in a shadow root the 3-D canvas stays blank
    )


def _copy(source: Path, target: Path) -> None:
    if target.is_file() and _stamp(target) == _stamp(source):
        return
    # Somebody may be reading the file: they must see the old bytes or the new, never a part. And
    # sessions that come at once to a fresh server copy at once, each into a file of its own.
    partial = target.with_name(f"{target.name}.{os.getpid()}-{get_ident()}")
    partial.write_bytes(source.read_bytes())
    os.utime(partial, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    partial.replace(target)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
