"""The server: the files that the browser loads, and many pages at once."""

import os
import threading
import zlib
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import plotly
import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route
from streamlit import net_util

from samar.charts.html.render import COMPONENTS, render, script
from samar.web.live import orders, stream

PLOTLY_JS = f"plotly-{version('plotly')}.min.js"
CHART_JS, STAGE_JS = "plotly_chart.js", "stage.js"
FILES = {
    PLOTLY_JS: Path(plotly.__file__).parent / "package_data" / "plotly.min.js",
    **{path.name: path for path in COMPONENTS.glob("*.js")},
}
"""What the browser loads, by name. plotly.js is 4.8 MB: inline it would travel in every message."""
KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}
"""Of a file whose address changes with its content."""

# While other sessions wait: several that import at once can be given half of a package.
for _name in ("pandas", "pyarrow", "plotly.graph_objects"):
    import_module(_name)

# About a connection from a foreign origin Streamlit asks a public address for this machine's own,
# up to two seconds in which the server answers nobody. What this machine knows by itself will do.
net_util._external_ip = "127.0.0.1"

TURNS = threading.BoundedSemaphore(1 + (os.cpu_count() or 1))
"""So many pages are drawn at once: of 60 asked for at once none comes later, and the server is
silent for 2 seconds at most instead of 4."""


def routes() -> list[BaseRoute]:
    """Addresses that the server answers beside Streamlit, under the path that it was given."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    prefix = f"/{base}" if base else ""
    return [
        Route(f"{prefix}/app/static/{{name}}", _file),
        Route(f"{prefix}/live/{{jobs}}", stream.get),
        Route(f"{prefix}/live/{{job}}/orders", orders.post, methods=["POST"]),
    ]


async def _file(request: Request) -> Response:
    """A file of :data:`FILES`; not compressed, which would be done anew for every visitor."""
    path = FILES.get(request.path_params["name"])
    if path is None:
        return Response(status_code=404)
    return FileResponse(path, headers={"Content-Encoding": "identity", **KEPT})


def static_url(name: str) -> str:
    """The address of a file of :data:`FILES`, relative to every page."""
    return f"app/static/{name}"


@cache
def script_url(name: str) -> str:
    """A component's script, with a checksum of all scripts so that an updated one is fetched anew.

    A script asks for its parts under the same checksum.
    """
    content = b"".join(path.read_bytes() for path in sorted(COMPONENTS.glob("*.js")))
    return f"{static_url(name)}?v={zlib.crc32(content):08x}"


def component(name: str, *, html: str, css: str, js: str, **values: str) -> Any:
    """Declare a component of the browser; what it returns puts one on the page.

    Args:
        html: its template, with an element of the class ``samar-chart-note`` that says why there
            is nothing where the script cannot be loaded.
        values: with which the template is filled in.
        css, js: its files among those of :data:`samar.charts.html.render.COMPONENTS`.
    """
    return st.components.v2.component(
        name,
        html=render(html, **values),
        css=script(css),
        js=render("chart.js.j2", url=script_url(js)),
        isolate_styles=False,  # in a shadow root the 3-D canvas stays blank
    )
