"""The command line: the same service as the browser, so a run started here is seen there.

Problems that a person can mend are printed as one sentence, with exit status 2; a run that failed
or diverged gives exit status 1.
"""

import argparse
import io
import sys
from collections.abc import Sequence

from samar import __version__
from samar.cli import (
    app,
    compare,
    data,
    doctor,
    jobs,
    measure,
    models,
    race,
    record,
    study,
    sweep,
    train,
)
from samar.errors import SamarError, of_the_disk

COMMANDS = (
    train,
    race,
    sweep,
    models,
    measure,
    compare,
    jobs,
    doctor,
    data,
    study,
    record,
    app,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"samar: {message}; see '{self.prog} --help'.\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line with its help."""
    top = _Parser(prog="python -m samar", description="Train with SAMAR and watch sharpness move.")
    top.add_argument("--version", action="version", version=f"samar {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.register(commands)
    measure.register_others(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except SamarError as error:
        print(f"samar: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except OSError as error:
        print(f"samar: {of_the_disk(error)}", file=sys.stderr)
        return 2
