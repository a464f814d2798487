"""``record``: make the recorded runs that ship with the app anew."""

import argparse
from pathlib import Path
from typing import Any


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("record", help="make the recorded runs of the lessons anew")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    parser.add_argument(
        "--out", type=Path, default=None, help="folder (default: where the app reads them)"
    )
    parser.set_defaults(run=_record)


def _record(options: argparse.Namespace) -> int:
    from samar.recordings.catalog import FOLDER
    from samar.recordings.protocols import make

    for path in make(options.names, options.out or FOLDER):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    return 0
