"""``--edits FILE``: changes that a run or a race makes at given steps."""

import argparse

from samar.errors import ConfigError
from samar.jobs.edits import PlannedEdit, read_edits
from samar.settings.paths import expanded

MOST_BYTES = 64 << 20


def add_edits(parser: argparse.ArgumentParser) -> None:
    """Let a command take a file of edits."""
    parser.add_argument(
        "--edits",
        metavar="FILE",
        help="changes to make at given steps, as 'export RUN --out FILE.json' writes them",
    )


def edits_from(options: argparse.Namespace) -> list[PlannedEdit]:
    """The edits in the file that the command names; none without it.

    Raises:
        ConfigError: there is no such file, or it holds something else.
    """
    if options.edits is None:
        return []
    path = expanded(options.edits)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path} is no file of edits; it has more than {MOST_BYTES:,} bytes.")
        return read_edits(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no file of edits; it holds no text.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check --edits.") from None
