"""The command line: the same service as the browser, so a run started here is seen there.

Problems that a person can mend are printed as one sentence, with exit status 2; a run that failed
or diverged gives exit status 1.
"""

import argparse
import io
import re
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from samar.cli import (
    app,
    cluster,
    compare,
    data,
    doctor,
    jobs,
    measure,
    models,
    race,
    sweep,
    train,
)
from samar.errors import ConfigError, SamarError, of_the_disk, told_if_missing
from samar.version import __version__

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
    app,
    cluster,
)


class _Parser(argparse.ArgumentParser):
    """Options by their whole names, each once, and none with an empty value."""

    def __init__(self, **words: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **words})
        # What stands for a number, so that the setting itself refuses it: -1e5, -inf.
        self._negative_number_matcher = re.compile(r"-(\.?\d|inf|nan)", re.IGNORECASE)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Read the arguments, after a look at what argparse would let pass."""
        words = sys.argv[1:] if args is None else list(args)
        given: set[argparse.Action] = set()
        for word, after in zip(words, [*words[1:], "-"], strict=False):
            option, equals, own = word.partition("=")
            action = self._option_string_actions.get(option)
            if action is None:
                continue
            if action in given and not isinstance(action, argparse._AppendAction):
                raise ConfigError(f"{option} is given twice; give it once.")
            given.add(action)
            if action.nargs != 0 and not (own if equals else after):
                raise ConfigError(f"{option} is empty; give it a value, or leave it out.")
        return super().parse_known_args(words, namespace)

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


def _require_text(words: Sequence[str]) -> None:
    for word in words:
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in word):
            shown = ascii(word)[:60]
            raise ConfigError(f"{shown} holds a character that is no text; write it without.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        words = sys.argv[1:] if arguments is None else list(arguments)
        _require_text(words)
        options = parser().parse_args(words)
        with told_if_missing():
            return int(options.run(options))
    except SamarError as error:
        print(f"samar: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        print(f"samar: {of_the_disk(error)}", file=sys.stderr)
        return 2
