"""Access to the addresses of our own: the one place that checks a request of the browser's scripts.

Streamlit guards its own addresses; for ours the same settings hold (``server.allowedHosts``,
``server.enableCORS``, ``server.enableXsrfProtection``).
"""

from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from streamlit.web.server.server_util import (
    allow_all_cross_origin_requests,
    is_allowed_origin,
    is_xsrf_enabled,
)
from streamlit.web.server.starlette.starlette_app_utils import validate_xsrf_token
from streamlit.web.server.starlette.starlette_server_config import XSRF_COOKIE_NAME
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from samar.jobs.roles import Person
from samar.web.person import person_by

TOKEN = "X-Xsrftoken"
"""The header in which a script repeats the cookie, which another site cannot read."""


def visitor(request: Request, *, acts: bool = False) -> Person:
    """The person who sends a request.

    Args:
        acts: whether it is to change something, for which the token of a page is needed.

    Raises:
        HTTPException: 403, it comes from elsewhere, or without the token.
    """
    host, origin = request.headers.get("Host"), request.headers.get("Origin")
    if not is_host_allowed(host):
        raise HTTPException(403, "This name is not among server.allowedHosts.")
    if origin is not None and not _own(origin, host):
        raise HTTPException(403, "Another site may not ask this server.")
    if acts and is_xsrf_enabled():
        cookie = request.cookies.get(XSRF_COOKIE_NAME)
        if not validate_xsrf_token(request.headers.get(TOKEN), cookie):
            raise HTTPException(403, "The page's token is missing; reload the page.")
    return person_by(request.headers, request.cookies)


def _own(origin: str, host: str | None) -> bool:
    """Whether a page of this server sends it, or of a site that the settings name."""
    return (
        allow_all_cross_origin_requests()
        or urlsplit(origin).netloc == host
        or is_allowed_origin(origin)
    )
