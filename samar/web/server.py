"""The server: files that the browser loads, first sessions, and many pages at once.

Streamlit serves the folder ``static/`` beside the running script under ``app/static/``. plotly.js
is 4.8 MB: as a file the browser fetches it once; inline it would travel in every message.
"""

import os
import threading
import zlib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import plotly
import streamlit as st
from streamlit import net_util
from streamlit.runtime.scriptrunner import get_script_run_ctx

from samar.charts.html.render import COMPONENTS, render, script
from samar.web.state import BEGUN

PLOTLY_JS = f"plotly-{version('plotly')}.min.js"
CHART_JS, STAGE_JS = "plotly_chart.js", "stage.js"
SCRIPTS = tuple(sorted(path.name for path in COMPONENTS.glob("*.js")))


# While other sessions wait: several that import at once can be given half of a package.
for _name in ("pandas", "pyarrow", "plotly.graph_objects"):
    import_module(_name)

# About a connection from a foreign origin Streamlit asks a public address for this machine's own,
# up to two seconds in which the server answers nobody. What this machine knows by itself will do.
net_util._external_ip = "127.0.0.1"

TURNS = threading.BoundedSemaphore(1 + (os.cpu_count() or 1))
"""So many pages are drawn at once: of 60 asked for at once none comes later, and the server is
silent for 2 seconds at most instead of 4."""


def came_cold() -> bool:
    """Whether Streamlit looked for pages itself before it first ran the app for this session.

    Until some session has called ``st.navigation`` it does, because the folder ``pages/`` exists,
    and opens a dialog "Page not found" over every page that a link names. The same address, loaded
    once more, finds it.
    """
    context = get_script_run_ctx(suppress_warning=True)
    if context is None or BEGUN in st.session_state:
        return False
    st.session_state[BEGUN] = True
    return any("url_pathname" in page for page in context.pages_manager.get_pages().values())


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
    partial = target.with_name(f"{target.name}.{os.getpid()}-{threading.get_ident()}")
    partial.write_bytes(source.read_bytes())
    os.utime(partial, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    partial.replace(target)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
