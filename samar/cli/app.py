"""``app``: open the browser app."""

import argparse
import os
import re
import runpy
import socket
import sys
from importlib import import_module
from typing import Any

from samar.errors import ConfigError
from samar.home import SHIPPED

HIGHEST = 65_535


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("app", help="open the browser app")
    parser.add_argument(
        "--port", default="8501", help="port to serve on, 0 for any (default: 8501)"
    )
    parser.set_defaults(run=_app)


def _app(options: argparse.Namespace) -> int:
    import_module("streamlit")  # runpy does not say which package is missing
    port = _free(options.port)
    # In this very process, so that Ctrl-C and signals reach the server.
    sys.argv = ["streamlit", "run", str(SHIPPED / "app.py"), "--server.port", str(port)]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
    return 0


def _free(text: str) -> int:
    """The port, if it can be had; any that is free for 0."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > HIGHEST:
        raise ConfigError(
            f"port is {text[:60]!r}, but it must be a whole number from 0 to {HIGHEST}; choose "
            "another value."
        )
    port = int(text)
    with socket.socket() as attempt:
        if os.name == "posix":  # else the last server's connections would block its port a minute
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except PermissionError:
            raise ConfigError(f"Port {port} is not allowed here; choose one above 1023.") from None
        except OSError:
            raise ConfigError(
                f"Port {port} is in use; end the program that uses it, or choose another one with "
                "--port."
            ) from None
        return int(attempt.getsockname()[1])
