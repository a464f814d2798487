"""Command-line options made from the fields of a configuration class."""

import argparse
from typing import Any

from samar.runs import RunConfig
from samar.training import Setting, settings_of


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add one option per field of ``RunConfig``; values are validated by the config itself."""
    groups: dict[str, Any] = {}
    for known in settings_of(RunConfig).values():
        group = groups.setdefault(known.group, parser.add_argument_group(known.group))
        option = f"--{known.name.replace('_', '-')}"
        if known.kind is bool:
            group.add_argument(
                option,
                action=argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=f"{known.help} (default: {'yes' if known.default else 'no'})",
            )
        else:
            group.add_argument(
                option,
                metavar=known.kind.__name__.upper(),
                default=argparse.SUPPRESS,
                help=_help(known).replace("%", "%%"),
            )


def config_from(options: argparse.Namespace) -> RunConfig:
    """The config that the given options describe, everything else at its default.

    Raises:
        ConfigError: one sentence about the first option that does not fit.
    """
    given = vars(options)
    return RunConfig.parse({name: given[name] for name in RunConfig.model_fields if name in given})


def _help(known: Setting) -> str:
    notes = []
    if known.choices:
        notes.append("one of " + ", ".join(known.choices))
    elif known.low is not None and known.high is not None:
        low = f"above {known.low:g}" if known.above_low else f"from {known.low:g}"
        high = f"below {known.high:.12g}" if known.below_high else f"to {known.high:.12g}"
        notes.append(f"{low} {high}")
    if known.default not in (None, ""):
        notes.append(f"default: {known.default}")
    return known.help + (f" ({'; '.join(notes)})" if notes else "")
