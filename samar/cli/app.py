"""``app``: open the browser app."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import samar
from samar.errors import SamarError


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("app", help="open the browser app")
    parser.add_argument("--port", type=int, default=8501, help="port to serve on (default: 8501)")
    parser.set_defaults(run=_app)


def _app(options: argparse.Namespace) -> int:
    folder = Path(samar.__file__).parents[1]
    if not (folder / "app.py").is_file():
        raise SamarError("app.py is not beside the samar package; run this in a checkout of samar.")
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(options.port),
    ]
    return subprocess.run(command, cwd=folder, check=False).returncode
